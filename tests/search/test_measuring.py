"""What accuracy means in a search: against labels where there are any, else against the original network."""

from pathlib import Path

import pytest
import torch
from tiny_parts import UNIT, TinyImages, make_network, supervised_stage, unsupervised_stage
from torch.utils.data import default_collate

from sc2_spic_plugin.search.measuring import accuracy_name, measure_bank, original_accuracy
from sc2_spic_plugin.training import SpicModel
from sc2_spic_plugin.training.build import BuiltConfig, seed_everything
from sc2_spic_plugin.training.calibrate import calibrate
from sc2_spic_plugin.training.store import FeatureStore, build_store, plan_store

UNITS = {"low": UNIT, "high": {**UNIT, "stride": 1, "step": 0.1}}


@pytest.mark.parametrize("labelled", [True, False], ids=["labels", "no labels"])
def test_accuracy_is_that_of_decoded_bytes_against_what_is_known(labelled: bool, tmp_path: Path) -> None:
    seed_everything(0)
    model = SpicModel(make_network(), "layer2", units=UNITS, input_size=(3, 32, 32), distills=not labelled)
    selection = TinyImages(24, seed=1)
    images = {"train": TinyImages(16), "selection": selection, "calibration": TinyImages(16)}
    plan = plan_store(model, images, {name: {"key": name} for name in images}, views=1, labelled=labelled)
    build_store(model, plan, tmp_path)
    config = {"train": supervised_stage() if labelled else unsupervised_stage()}
    parts = {"train": FeatureStore(tmp_path), "held_out": FeatureStore(tmp_path, "selection")}
    built = BuiltConfig(Path("tiny.yaml"), config, parts, model, None, torch.device("cpu"))
    calibrate(model, [selection.images], built.device)

    reached = measure_bank(built)

    original = make_network()(selection.images).argmax(dim=1)
    known = torch.tensor(selection.targets) if labelled else original
    model.update()
    batch, _ = default_collate([parts["held_out"][index] for index in range(24)])
    for name, answer in model.answers(batch):
        right = int((answer.argmax(dim=1) == known).sum())
        payloads = model.encode_batch(selection.images, name).payloads
        assert reached[name].accuracy == pytest.approx(100 * right / 24)
        assert reached[name].bpp == pytest.approx(8 * reached[name].payload_bytes / 32**2)
        assert reached[name].payload_bytes == pytest.approx(sum(map(len, payloads)) / 24, abs=0.5)  # half precision
        assert reached[name].images == 24
    assert ("against the original network" in accuracy_name("classification", labelled)) != labelled
    expected = 100 * float((original == torch.tensor(selection.targets)).float().mean()) if labelled else None
    assert original_accuracy(model, parts["held_out"], "classification") == pytest.approx(expected)
