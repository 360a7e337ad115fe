"""A suite file: what it means, what it refuses, and that its sweeps are rendered, never edited."""

import inspect
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from sc2_spic_plugin.configs import config_root
from sc2_spic_plugin.configs.plain import load_plain
from sc2_spic_plugin.configs.suite import CodecVariant, Suite, load_suite
from sc2_spic_plugin.errors import ConfigError

WEIGHT = "train.stage1.criterion.kwargs.sub_terms.rate.weight"
METHOD = {"method": "spic_l1", "config": "imagenette/spic_supervised.yaml"}
SWEPT = {"method": "spic_l1", "sweep": "imagenette/sweep_supervised.yaml"}


def suite_of(tmp_path: Path, **changes: Any) -> Suite:
    content = {"name": "x", "network": {"config": "imagenette/network.yaml"}, "methods": [METHOD], **changes}
    path = tmp_path / "suite.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_suite(path)


def test_the_suite_of_the_documentation_is_read(tmp_path: Path) -> None:
    lines = inspect.getdoc(load_suite).split("\n\n")[1]
    path = tmp_path / "suite.yaml"
    path.write_text(textwrap.dedent(lines))
    suite = load_suite(path)
    kept = "spic_mean_scale_hyperprior_kept"
    assert [method.name for method in suite.methods] == ["spic_static_table-supervised", "bank", kept, "spic_l1"]
    assert suite.methods[0].seeds == (0, 1, 2) and suite.methods[0].points["low"] == {WEIGHT: 200.0}
    assert suite.methods[1].points is None and suite.durations == {"spic_l1": 1260}
    plain = [(20, 1.0, None), (60, 1.0, None)]
    points = [(quality, v.scale, v.subsampling) for quality, v in suite.codecs["jpeg"].points()]
    assert points == [(5, 1.0, None), *plain, (5, 0.5, None), (20, 0.5, None), (60, 0.5, None), (20, 1.0, "444")]
    assert suite.references == ("label",)
    assert list(suite.codecs["webp"].points()) == [(5, CodecVariant()), (30, CodecVariant())]


def test_a_sweep_gives_the_points_that_pass_the_filter_with_the_suites_values(tmp_path: Path) -> None:
    cuts = {"estimator": "l1", "cut": ["layer4.0", "layer3.4"]}
    suite = suite_of(tmp_path, methods=[{**SWEPT, "filter": cuts, "values": {"train.stage1.num_epochs": 3}}])
    before = (config_root() / SWEPT["sweep"]).read_bytes(), (config_root() / METHOD["config"]).read_bytes()
    texts = dict(suite.render(suite.methods[0]))
    configs = {name: load_plain(text) for name, text in texts.items()}
    kwargs = [config["models"]["model"]["kwargs"] for config in configs.values()]
    assert {each["cut"] for each in kwargs} == {"layer4.0", "layer3.4"}
    assert {each["rate_estimator"]["key"] for each in kwargs} == {"l1"}
    assert {config["train"]["stage1"]["num_epochs"] for config in configs.values()} == {3}
    assert [config["models"]["model"]["experiment"] for config in configs.values()] == list(configs)
    assert before == ((config_root() / SWEPT["sweep"]).read_bytes(), (config_root() / METHOD["config"]).read_bytes())


def test_one_name_may_stand_for_several_paths_and_be_replaced(tmp_path: Path) -> None:
    paths = {"epochs": ["train.stage1.num_epochs", "train.log_freq", "train.stage9.num_epochs"]}
    suite = suite_of(tmp_path, paths=paths, shared={"epochs": 2}).with_values({"epochs": 5})
    ((_, text),) = suite.render(suite.methods[0])
    config = load_plain(text)
    assert (config["train"]["stage1"]["num_epochs"], config["train"]["log_freq"]) == (5, 5)
    with pytest.raises(ConfigError, match=r"`epoch` .* Did you mean `epochs`"):
        suite.with_values({"epoch": 5})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"netwrok": {}}, r"unknown key `netwrok`\. Did you mean `network`"),
        ({"methods": [{**METHOD, "seed": 1}]}, r"unknown key `seed`\. Did you mean `seeds`"),
        ({"methods": [{"config": "x"}]}, "`method` is missing"),
        ({"methods": [{"method": "spic_l1"}]}, "needs `config` or `sweep`, and not both"),
        ({"methods": [{**METHOD, **SWEPT}]}, "needs `config` or `sweep`, and not both"),
        ({"methods": [{**SWEPT, "points": {"a": {}}}]}, "has `points` and `sweep`"),
        ({"methods": [{**METHOD, "filter": {"cut": 1}}]}, "has a `filter` and no `sweep`"),
        ({"methods": [{**METHOD, "points": {}}]}, "`spic_l1` .* has no points"),
        ({"methods": [{**METHOD, "seeds": [0, 0]}]}, "`seeds` .* different whole numbers"),
        ({"methods": [METHOD, METHOD]}, "two methods .* called `spic_l1`"),
        ({"methods": {}}, "`methods` must be a list"),
        ({"shared": {"root": "x"}, "paths": {"roots": "a.b"}}, r"`root` .* has no path\. Did you mean `roots`"),
        ({"paths": {"root": 3}}, "the path of `root` must be"),
        ({"codecs": {"jpeg": {"quality": [5]}}}, r"codec `jpeg`: unknown key `quality`\. Did you mean `qualities`"),
        ({"codecs": {"jpeg": 5}}, "codec `jpeg`: expected a list"),
        ({"references": "label"}, "references: expected a list"),
        ({"methods": [{**METHOD, "store": "s1"}], "stores": {"s": None}}, r"no store `s1`\. Did you mean `s`"),
        ({"methods": [{**METHOD, "store": "s", "checkpoints_of": "a"}], "stores": {"s": None}}, "leave `store` out"),
        ({"durations": {"jpeg": "long"}}, "duration of `jpeg` must be seconds"),
    ],
)
def test_what_is_wrong_with_a_suite_is_said(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        suite_of(tmp_path, **changes)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({**SWEPT, "filter": {"estimtor": "l1"}}, r"no `estimtor` in .*\. Did you mean `estimator`"),
        ({**SWEPT, "filter": {"estimator": "l2"}}, "leaves no point of imagenette/sweep_supervised.yaml"),
        ({**METHOD, "config": "imagenette/spic_supervise.yaml"}, "Did you mean `imagenette/spic_supervised.yaml`"),
        ({**METHOD, "values": {"lost": 1}}, r"has none of `a\.b`, `c\.d`"),
        ({**METHOD, "points": {"a": {"train.stage1.num_epoch.x": 1}}}, r"no `train\.stage1\.num_epoch` .*num_epochs"),
    ],
)
def test_a_point_that_cannot_be_rendered_is_said(tmp_path: Path, method: dict[str, Any], message: str) -> None:
    suite = suite_of(tmp_path, methods=[method], paths={"lost": ["a.b", "c.d"]})
    with pytest.raises(ConfigError, match=message):
        list(suite.render(suite.methods[0]))
