"""Laws of a search space: the shipped ones can be read, and one that makes no sense is refused, all of it at once."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from sc2_spic_plugin.configs import check_config, list_configs
from sc2_spic_plugin.configs.plain import load_plain
from sc2_spic_plugin.errors import ConfigError
from sc2_spic_plugin.search import SearchJob, SearchSpace, load_space, run_search
from sc2_spic_plugin.search.bank_config import bank_text, front_text, store_text
from sc2_spic_plugin.search.candidate import Candidate, Group
from sc2_spic_plugin.search.dimensions import DIMENSIONS

METRIC = "train.stage1.criterion.kwargs.sub_terms.distillation.criterion.kwargs.metric"
SHIPPED = [name for name in list_configs() if name.startswith("search/")]


def write(folder: Path, **changed: Any) -> Path:
    content = {"base": "smoke/spic_unsupervised.yaml", "space": {"latent_channels": [4, 8]}, **changed}
    path = folder / "space.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_space_can_be_read_and_makes_configs_that_pass_the_check(name: str) -> None:
    space = load_space(name)
    assert set(space.dimensions) == set(DIMENSIONS)
    for cut in space.cuts:
        assert check_config(store_text(space, cut, space.layers(cut))) == []
        for layer in (".", *space.layers(cut)):
            values = {name: dimension.at(cut).ends[-1] for name, dimension in space.dimensions.items()}
            candidate = Candidate(3, {**values, "cut": cut, "distillation_layer": layer})
            for text in (bank_text(space, Group(cut, layer), [candidate]), front_text(space, cut, [candidate])):
                assert check_config(text) == []


def test_a_candidate_is_the_unit_that_its_bank_trains(space: SearchSpace) -> None:
    values = {"cut": "layer3", "distillation_layer": "layer4", "latent_channels": 16, "stride": 2, "step": 0.3}
    values |= {"rate_weight": 7.0, "topology": "conv", "rate_estimator": "l1"}
    candidate = Candidate(12, values)
    plain = load_plain(bank_text(space, candidate.group, [candidate]))
    model, stage = plain["models"]["model"]["kwargs"], plain["train"]["stage1"]
    assert model["cut"] == "layer3" and model["distillation_layers"] == ["layer4"] and model["unit"] is None
    assert model["units"] == {"t12": {"latent_channels": 16, "stride": 2, "step": 0.3, "topology": "conv",
                                      "rate_weight": 7.0, "rate_estimator": {"key": "l1"}}}  # fmt: skip
    assert set(stage["model"]["forward_hook"]["output"]) >= {"rate", "back_end.layer4", "original.layer4"}
    assert stage["criterion"]["kwargs"]["sub_terms"]["distillation"]["criterion"]["kwargs"]["layer"] == "layer4"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"spaec": {}}, "unknown key `spaec` in .* Did you mean `space`"),
        ({"base": "smoke/spic_unsupervized.yaml"}, "Did you mean `smoke/spic_unsupervised.yaml`"),
        ({"base": "smoke/network.yaml"}, "trains no SPIC model of its own"),
        ({"base": "imagenette/bank_unsupervised.yaml"}, "needs one `unit`, no bank"),
        ({"values": {"train.stage1.num_epoch": 3}}, "unknown key `num_epoch`"),
        ({"space": {"latent_chanels": [4]}}, "unknown dimension `latent_chanels`. Did you mean `latent_channels`"),
        ({"space": {"latent_channels": [4, 0]}}, "`latent_channels`: 0 is not a whole number of 1 or more"),
        ({"space": {"step": {"low": 2.0, "high": 1.0}}}, r"`step`: low 2.0 is not below high 1.0"),
        ({"space": {"step": {"low": 2.0, "hihg": 3.0}}}, "unknown key `hihg` for `step`. Did you mean `high`"),
        ({"space": {"rate_weight": [-1.0]}}, "`rate_weight`: -1.0 is not a positive number"),
        ({"space": {"topology": ["seperable"]}}, "there is no topology `seperable`. Did you mean `separable`"),
        ({"space": {"rate_estimator": ["hyperprior"]}}, "there is no rate_estimator `hyperprior`. Did you mean"),
        ({"space": {"topology": {"low": 1, "high": 2}}}, "`topology` is no number, so it has no range"),
        ({"space": {"stride": [2, 2]}}, "`stride` must be one or more different values"),
        ({"space": {"stride": {"by_cut": {"layer3": [2]}}}}, "names a cut `layer3` that is none of the space's"),
        ({"space": {"cut": ["layer2", "layer3"], "stride": {"by_cut": {"layer3": [2]}}}}, "nothing about `layer2`"),
        ({"base": "smoke/spic_supervised.yaml", "space": {"distillation_layer": ["."]}}, "has 0"),
        (
            {"values": {METRIC: "kl"}, "space": {"distillation_layer": [".", "layer4"]}},
            "`kl` compares classes, and `la",
        ),
        ({"trials": 0}, "`trials` must be a whole number of 1 or more"),
        ({"candidates": 65}, "a bank has at most 64 units"),
        ({"early_stopping": {"after": 1.5}}, "`early_stopping.after` must lie between 0 and 1"),
        ({"early_stopping": {"margin": 1}}, "unexpected keyword argument 'margin'"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        load_space(write(tmp_path, **changed))


def test_all_that_is_wrong_with_a_space_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        load_space(write(tmp_path, trials=-1, space={"latent_channels": ["a"], "topologie": ["conv"]}))
    assert len(str(refused.value).splitlines()) == 4


def test_what_is_impossible_together_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    dimensions = {
        "cut": ["layer2", "layer3", "layer9"],
        "stride": [2, 6],  # features are 8x8 and 4x4
        "distillation_layer": ["layer3"],
    }
    path = write(tmp_path, space={"latent_channels": [4], **dimensions})
    with pytest.raises(ConfigError) as refused:
        run_search(SearchJob(load_space(path), tmp_path / "out"))
    lines = str(refused.value).splitlines()
    assert any("stride 6 at cut `layer3`: its feature map is 4x4" in line for line in lines)
    assert any("distillation_layer `layer3` at cut `layer3`: it does not lie behind the cut" in line for line in lines)
    assert any("cut `layer9`" in line and "Did you mean" in line for line in lines)
    assert not any("at cut `layer2`" in line for line in lines)
    assert not (tmp_path / "out").exists()


def test_ten_gigabytes_need_consent(space: SearchSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sc2_spic_plugin.search.stores.CONSENT_BYTES", 1000)
    with pytest.raises(ConfigError, match=r"the feature stores would take .* pass --yes to write them"):
        run_search(SearchJob(space, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
