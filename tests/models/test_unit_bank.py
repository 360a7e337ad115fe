"""Laws of the unit bank: a rate per request from any thread, units that come and go, and others left untouched."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from bank_parts import BANK, bank, make_bank, other, pair, payloads
from tiny_parts import UNIT, assert_same, make_images, make_split, make_student, network_state, observe

from sc2_spic_plugin.errors import BitstreamError, ConfigError
from sc2_spic_plugin.models import SplitModel, drop_unit, load_unit

__all__ = ["bank", "other", "pair"]  # fixtures


def test_a_request_names_its_unit_and_nothing_changes(bank: SplitModel) -> None:
    images, state = make_images(2), {**network_state(bank), **bank.state_dict()}
    state = {name: value.clone() for name, value in state.items()}
    expected = {}
    for name in BANK:
        bank.select(name)
        expected[name] = (bank.encode_batch(images).payloads, bank(images))
    bank.select("fine")
    for name, index in {"fine": 0, "coarse": 1, "coarsest": 2}.items():
        encoded = bank.encode_batch(images, name)
        compressed = bank.encode(images, unit=name)
        assert bank.unit_indices[name] == encoded.payloads[0][0] == index
        assert encoded.payloads == compressed["strings"][0] == expected[name][0]
        assert torch.equal(bank.decode(**compressed), expected[name][1])
    assert bank.active == "fine" and len({tuple(each[0]) for each in expected.values()}) == 3
    assert_same(state, {**network_state(bank), **bank.state_dict()})


def test_threads_at_different_rates_give_what_one_after_another_gives(bank: SplitModel) -> None:
    requests = [(name, make_images(1 + seed % 2, seed=seed)) for seed in range(6) for name in BANK]

    def serve(request: tuple[str, torch.Tensor]) -> tuple[list[bytes], torch.Tensor]:
        compressed = bank.encode(request[1], unit=request[0])
        return compressed["strings"][0], bank.decode(**compressed)

    expected = [serve(request) for request in requests]
    for tables in bank.tables.values():
        tables._coder = None  # the coders are made by the threads
    with ThreadPoolExecutor(6) as threads:
        served = list(threads.map(serve, requests))
    assert [codes for codes, _ in served] == [codes for codes, _ in expected]
    assert all(torch.equal(one[1], two[1]) for one, two in zip(served, expected, strict=True))
    assert bank.active == "fine"


def test_a_unit_that_is_not_there_or_still_trains_is_refused(bank: SplitModel) -> None:
    with pytest.raises(ConfigError, match=r"no unit `course`\. Did you mean `coarse`"):
        bank.encode(make_images(1), unit="course")
    model = make_split().train()
    with pytest.raises(ConfigError, match=r"training mode; call `eval\(\)`"):
        model.encode(make_images(1), unit="unit")
    with pytest.raises(BitstreamError, match=r"names unit 3 .* 3 units"):
        bank.decode([[b"\x03"]], (1, 1))


def test_a_bank_of_one_is_the_plain_model() -> None:
    model = make_bank({"unit": UNIT})
    parts = {name.split(".")[0] for name in model.state_dict()}
    assert parts == {"network_digest", "cut_digest", "units", "tables"}
    images = make_images(2)
    assert model.encode_batch(images).payloads == payloads(model, "unit", images)
    assert {payload[0] for payload in payloads(model, "unit", images)} == {0}


def test_names_that_are_taken_or_no_names_are_refused(bank: SplitModel, other: SplitModel, pair: Path) -> None:
    with pytest.raises(ConfigError, match="the bank has a unit `coarse`; choose another name"):
        load_unit(bank, pair)
    for name in ("low rate", "items", ""):
        with pytest.raises(ConfigError, match="cannot name a unit"):
            load_unit(other, pair, name)
    assert list(bank.units) == list(BANK) and list(other.tables) == ["own", "more"]


def test_a_bank_holds_as_many_units_as_a_payload_can_name(other: SplitModel, pair: Path) -> None:
    for index in range(2, 64):
        load_unit(other, pair, f"unit{index}")
    images = make_images(1)
    last = payloads(other, "unit63", images)
    assert last[0][0] == 63 and torch.equal(
        other.decode([last], (1, 1)), other.decode([payloads(other, "unit2", images)], (1, 1))
    )
    with pytest.raises(ConfigError, match="at most 64 units"):
        load_unit(other, pair)


def test_dropping_moves_the_units_behind_it_and_changes_nothing_else() -> None:
    model, images = make_bank(), make_images(2)
    before = {name: payloads(model, name, images) for name in BANK}
    output = model.decode([before["coarsest"]], (1, 1))
    model.select("coarse")
    assert drop_unit(model, "coarse") == model.unit_indices == {"fine": 0, "coarsest": 1}
    assert model.active == "fine"
    assert payloads(model, "fine", images) == before["fine"]
    after = payloads(model, "coarsest", images)
    assert [(code[0], code[1:]) for code in after] == [(1, code[1:]) for code in before["coarsest"]]
    assert torch.equal(model.decode([after], (1, 1)), output)
    with pytest.raises(BitstreamError, match=r"names unit 2 .* 2 units"):
        model.decode([before["coarsest"]], (1, 1))
    assert not [name for name in model.state_dict() if ".coarse." in name]
    with pytest.raises(ConfigError, match="no unit `coarse`"):
        drop_unit(model, "coarse")
    drop_unit(model, "fine")
    with pytest.raises(ConfigError, match="the bank's last unit"):
        drop_unit(model, "coarsest")


def test_a_trained_model_serves_a_loaded_unit_and_drops_its_own(pair: Path, bank: SplitModel) -> None:
    student = make_student().eval()
    observe(student, make_images(4))
    student.update()
    load_unit(student, pair)
    drop_unit(student, "unit")
    assert student.active == "coarse" and list(student.rate_estimators) == list(student.rate_weights) == ["coarse"]
    images = make_images(2)
    expected = bank.decode([payloads(bank, "coarse", images)], (1, 1))
    assert torch.equal(student(images), expected)
