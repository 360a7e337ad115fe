"""Laws of rendering and checking: aliases and joins follow, and what is wrong is found before anything is built."""

from pathlib import Path

import pytest
import yaml

from sc2_spic_plugin.configs import check_config, load_sweep, render_config, resolve_config
from sc2_spic_plugin.configs.plain import load_plain
from sc2_spic_plugin.errors import ConfigError

BASE = resolve_config("smoke/spic_unsupervised").read_text()
STAGE = "train.stage1"
TERMS = f"{STAGE}.criterion.kwargs.sub_terms"

ALIASED = """
size: &size 64
name: &name 'first'
again: *size
path: !join ['./out/', *name, '-', *size, '.pt']
deep: {list: [{value: *size}, 2]}
call: !import_call {key: 'torchvision.transforms.Resize', init: {kwargs: {size: *size}}}
"""


def test_aliases_and_joined_paths_follow_a_replaced_value() -> None:
    rendered = load_plain(render_config(ALIASED, {"size": 96, "name": "second"}))
    assert rendered["again"] == rendered["deep"]["list"][0]["value"] == 96
    assert rendered["path"] == "./out/second-96.pt"
    assert rendered["call"]["init"]["kwargs"]["size"] == 96 and rendered["call"]["__call__"] == "import_call"


def test_the_hosts_read_a_rendered_config_as_they_would_the_written_one(tmp_path: Path) -> None:
    from torchdistill.common import yaml_util

    path = tmp_path / "config.yaml"
    path.write_text(render_config(ALIASED, {"size": 96}))
    config = yaml_util.load_yaml_file(str(path))
    assert config["path"] == "./out/first-96.pt" and config["call"].size == 96


def test_values_of_any_kind_are_set_and_entries_of_lists_reached() -> None:
    values = {"deep.list.1": None, "name": "a: b", "new": [1, {"a": True}], "deep.other": {"x": {}}}
    rendered = load_plain(render_config(ALIASED, values))
    assert rendered["deep"] == {"list": [{"value": 64}, None], "other": {"x": {}}}
    assert rendered["path"] == "./out/a: b-64.pt" and rendered["new"] == [1, {"a": True}]


def test_a_value_and_its_aliases_are_one() -> None:
    assert load_plain(render_config(ALIASED, {"again": 7})) == load_plain(render_config(ALIASED, {"size": 7}))


def test_rendering_nothing_changes_nothing() -> None:
    assert load_plain(render_config(BASE, {})) == load_plain(BASE)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("sise.x", r"no `sise` in the config\. Did you mean `size`"),
        ("deep.lst.1", r"no `deep\.lst` in the config\. Did you mean `list`"),
        ("deep.list.7", r"no `deep\.list\.7`"),
        ("size.x", r"no `size\.x`"),
        ("deep._lisst", r"no `deep\._lisst` in the config"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_the_nearest_name(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        render_config(ALIASED, {path: 1})


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2", "just words", ""])
def test_what_is_no_config_is_refused(text: str) -> None:
    for reads in (load_plain, lambda text: render_config(text, {}), check_config):
        with pytest.raises(ConfigError, match=r"no YAML|must be a mapping"):
            reads(text)


def test_a_config_without_fault_has_none() -> None:
    assert check_config(BASE) == []


WRONG = {
    "unknown key": ({"trian": {}}, "unknown key `trian` in the config. Did you mean `train`"),
    "unknown stage key": ({f"{STAGE}.num_epoch": 3}, "Did you mean `num_epochs`"),
    "unknown model key": ({"models.model.kwargs.distils": True}, "Did you mean `distills`"),
    "unknown unit key": ({"models.model.kwargs.unit.strde": 2}, "unknown key `strde` .*Did you mean `stride`"),
    "unknown network key": ({"models.model.kwargs.network.src_chpt": ""}, "Did you mean `src_ckpt`"),
    "unknown estimator": ({"models.model.kwargs.rate_estimator.key": "static_tabel"}, "Did you mean `static_table`"),
    "active unit that is none": (
        {"models.model.kwargs.unit_name": "rate4", "models.model.kwargs.active": "rate3"},
        "`active` of .* is `rate3`, which is no unit. Did you mean `rate4`",
    ),
    "unknown analyzer": (
        {"models.model.kwargs.analysis_config.analyzer_configs.1.key": "SpicSizeAnalyser"},
        "Did you mean `SpicSizeAnalyzer`",
    ),
    "unknown dataset": (
        {f"{STAGE}.train_data_loader": {"dataset_id": "synthetic/trian"}}, "Did you mean `synthetic/train`"
    ),
    "loader without kwargs": (
        {"test.test_data_loader": {"dataset_id": "synthetic/val", "batch_size": 1, "sampler": {"class_or_func": "x"}}},
        "has no `kwargs`; put batch_size and num_workers there",
    ),
    "loader key beside kwargs": ({f"{STAGE}.val_data_loader.batch_size": 8}, "unknown key `batch_size`"),
    "loader without sampler": ({f"{STAGE}.val_data_loader.sampler": None}, "has no `sampler"),
    "unhooked path": ({f"{STAGE}.model.forward_hook.output": ["rate"]}, "reads `original.output`, which no"),
    "unhooked rate": ({f"{STAGE}.model.forward_hook.output": ["original.output"]}, "reads `rate`, which no"),
    "unhooked layer": ({f"{TERMS}.distillation.criterion.kwargs.layer": "layer4"}, "reads `back_end.layer4`, which no"),
    "hooked root": ({f"{STAGE}.model.forward_hook.output": ["rate", "original.output", "."]}, "lists '.'"),
    "unknown loss": ({f"{TERMS}.rate.criterion.key": "SpicRateLos"}, "`SpicRateLos`.*Did you mean `SpicRateLoss`"),
    "unknown total": ({f"{STAGE}.criterion.key": "WeightedSum"}, "unknown loss `WeightedSum`.*`WeightedSumLoss`"),
    "no weight": ({f"{TERMS}.rate": {"criterion": {"key": "SpicRateLoss", "kwargs": {}}}}, "`rate`.* has no `weight`"),
    "no dependency": ({"dependencies": []}, "lacks `- name: 'sc2_spic_plugin'`"),
    "missing dependency": (
        {"dependencies": [{"name": "sc2_spic_plugin"}, {"name": "sc2_no_such"}]}, "`sc2_no_such` cannot be imported"
    ),
    "unknown object": ({"datasets.synthetic/val.key": "sc2_spic_plugin.datasets.Synthetics"}, "cannot be imported"),
    "unknown argument": (
        {"datasets.synthetic/val.init.kwargs.samples": 3}, "unknown key `samples`.*Did you mean `samples_per_class`"
    ),
    "unknown term key": ({f"{TERMS}.rate.wieght": 9}, "`wieght` in the loss term `rate`.*Did you mean `weight`"),
    "unknown loss key": ({f"{TERMS}.rate.criterion.kwarg": {}}, "unknown key `kwarg`.*Did you mean `kwargs`"),
    "unknown wrapper": ({f"{TERMS}.rate.criterion_wraper": {}}, "Did you mean `criterion_wrapper`"),
    "unknown terms": ({f"{STAGE}.criterion.kwargs.sub_termz": {}}, "Did you mean `sub_terms`"),
    "unknown criterion key": ({f"{STAGE}.criterion.weight": 2}, "unknown key `weight` in train.stage1.criterion"),
    "unknown optimizer key": ({f"{STAGE}.optimizer.max_grad_nrom": 1.0}, "Did you mean `max_grad_norm`"),
    "unknown scheduler key": ({f"{STAGE}.scheduler": {"key": "StepLR", "kwarg": {}}}, "Did you mean `kwargs`"),
    "unknown hook": ({f"{STAGE}.model.forward_hook.outputs": ["rate"]}, "Did you mean `output`"),
    "unknown sampler key": ({f"{STAGE}.train_data_loader.sampler.kwarg": {}}, "Did you mean `kwargs`"),
    "an update nobody reads": ({f"{STAGE}.epoch_to_update": 2}, "stands under `train`"),
    "unknown test key": ({"test.test_data_loaders": {}}, "Did you mean `test_data_loader`"),
    "argument beside init": ({"datasets.synthetic/val.root": "x"}, "unknown key `root`.*stand in init.kwargs"),
    "unknown init key": ({"datasets.synthetic/val.init.kwarg": {}}, "Did you mean `kwargs`"),
    "no test": ({"test": {}}, "`test` needs a `test_data_loader`"),
    "no model": ({"models": {"teacher_model": {"key": "resnet18"}}}, "`models` needs `model`"),
    "no destination": ({"models.model": {"key": "resnet18", "kwargs": {}}}, "needs a `dst_ckpt`"),
    "no unit": ({"models.model.kwargs": {"network": {"key": "resnet18"}, "cut": "layer1"}}, "needs `unit`"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_the_check_finds(fault: str) -> None:
    import re

    overrides, message = WRONG[fault]
    problems = check_config(render_config(BASE, overrides))
    assert any(re.search(message, problem) for problem in problems), problems
    assert all(problem.endswith((".", "?")) or problem.endswith("}`.") for problem in problems)


def test_the_check_knows_what_loads_masks() -> None:
    text = resolve_config("smoke_segmentation/spic_supervised").read_text()
    where = f"{STAGE}.val_data_loader.collate_fn"
    assert check_config(text) == []
    (missing,) = check_config(render_config(text, {where: None}))
    assert f"`{STAGE}.val_data_loader` loads images with masks and needs `collate_fn: 'spic_pair_collate'`" in missing
    (unknown,) = check_config(render_config(text, {where: "spic_pair_colate"}))
    assert "unknown collate_fn `spic_pair_colate`" in unknown and "`spic_pair_collate`" in unknown
    (argument,) = check_config(render_config(text, {"models.model.kwargs.use_aux": True}))
    assert "unknown key `use_aux`" in argument and "`uses_aux`" in argument
    assert "uses_aux" in check_config(render_config(BASE, {"models.model.kwargs.uses_aux": True}))[0]


def test_a_config_that_trains_nothing_needs_no_checkpoint_and_its_wrapped_network_is_checked() -> None:
    text = resolve_config("camvid/codec").read_text()
    assert check_config(text) == [] and "dst_ckpt" not in text
    wrong = render_config(text, {"models.model.segmentation_model": {"key": "deeplabv3_resnet50", "kwarg": {}}})
    unknown, missing = check_config(wrong)
    assert "unknown key `kwarg` in models.model.segmentation_model" in unknown and "needs `key` and `kwargs`" in missing


def test_checking_builds_and_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the check built something")

    monkeypatch.setattr("sc2_spic_plugin.datasets.SyntheticImages.__init__", forbidden)
    monkeypatch.setattr("torch.load", forbidden)
    assert all("built something" not in problem for problem in check_config(BASE))


def test_a_sweep_renders_all_combinations(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(ALIASED)
    sweep = {
        "base": "base.yaml",
        "name": "{name}-{size}",
        "name_path": "title",
        "paths": {"size": "size", "name": ["name", "deep.name"]},
        "grid": [{"size": [1, 2], "name": ["a", "b.c"]}, {"size": 3, "name": "d"}],
        "fixed": {"deep.list.1": 0},
    }
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump(sweep, sort_keys=False))
    points = {point.name: load_plain(point.text) for point in load_sweep(path)}
    assert list(points) == ["a-1", "b_c-1", "a-2", "b_c-2", "d-3"]
    assert points["b_c-2"]["path"] == "./out/b.c-2.pt" and points["b_c-2"]["deep"] == {
        "list": [{"value": 2}, 0], "name": "b.c"
    }  # fmt: skip
    assert points["d-3"]["title"] == "d-3"
    for change, message in (
        ({"grids": []}, "unknown key `grids` in sweep .*Did you mean `grid`"),
        ({"grid": [{"sise": [1]}]}, "`sise` in .* has no path. Did you mean `size`"),
        ({"name": "same"}, "two points .* called `same`"),
        ({"grid": None}, "`grid`"),
        ({"base": "absent.yaml"}, "absent.yaml"),
        ({"name": "{nmae}"}, "nmae"),
    ):
        path.write_text(yaml.safe_dump({**sweep, **change}))
        with pytest.raises(ConfigError, match=message):
            load_sweep(path)


def test_unknown_configs_name_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no config `smoke/spic_supervized`.*`smoke/spic_supervised\.yaml`"):
        resolve_config("smoke/spic_supervized")
