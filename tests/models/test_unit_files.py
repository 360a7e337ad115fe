"""Laws of units as files: elsewhere they code as where they were made; what is damaged or does not fit is refused."""

import json
from pathlib import Path

import pytest
import torch
from bank_parts import BANK, COARSE, bank, make_bank, other, pair, payloads
from safetensors.torch import load_file, save_file
from tiny_parts import UNIT, assert_same, make_images, make_network, make_split, network_state

from sc2_spic_plugin.coding import ModeCoder, SymbolTables
from sc2_spic_plugin.errors import CheckpointError, ConfigError, TableError
from sc2_spic_plugin.layers import CoveringGeometry
from sc2_spic_plugin.models import SplitModel, export_unit, load_unit, unit_files
from sc2_spic_plugin.ops import tensors_digest, write_atomic
from sc2_spic_plugin.runtime.sealed_json import content_digest

__all__ = ["bank", "other", "pair"]  # fixtures


def rewrite(path: Path, **changes: object) -> None:
    """Changes a description as its writer could have, with the digest that belongs to it."""
    content = {**json.loads(path.read_text()), **changes}
    del content["digest"]
    path.write_text(json.dumps({**content, "digest": content_digest(content)}))


@pytest.mark.parametrize("name", list(BANK))
def test_an_exported_unit_gives_the_same_codes_and_outputs_in_another_model(
    bank: SplitModel, other: SplitModel, name: str, tmp_path: Path
) -> None:
    images, large = make_images(3), make_images(2, 80, 48)
    before = {own: payloads(other, own, images) for own in other.units}
    generator = torch.get_rng_state()
    load_unit(other, export_unit(bank, name, tmp_path).tensors, "added")
    assert torch.equal(torch.get_rng_state(), generator)
    assert other.active == "own" and other.unit_indices == {"own": 0, "more": 1, "added": 2}
    for batch in (images, large):
        sent, again = bank.encode(batch, unit=name), other.encode(batch, unit="added")
        assert [code[1:] for code in again["strings"][0]] == [code[1:] for code in sent["strings"][0]]
        assert torch.equal(other.decode(**again), bank.decode(**sent))
    assert {own: payloads(other, own, images) for own in before} == before
    assert_same(network_state(other), network_state(bank))
    sent = payloads(other, "added", images)
    other.update()  # keeps the tables that came with the unit
    assert payloads(other, "added", images) == sent


def test_modes_travel_with_the_unit(tmp_path: Path) -> None:
    bank, other = (make_bank({"own": UNIT}, tables={"modes": 4}) for _ in range(2))
    tables: SymbolTables = bank.tables["own"]  # type: ignore[assignment]
    symbols = torch.cat([torch.full((40, tables.channels, *tables.latent_size), value) for value in (0, 3)])
    tables.start_calibration()
    tables.count(symbols)
    tables.finish_calibration()
    assert isinstance(tables.coder, ModeCoder)
    images = make_images(3)
    load_unit(other, export_unit(bank, "own", tmp_path).tensors, "added")
    sent, again = bank.encode(images), other.encode(images, unit="added")
    assert [code[1:] for code in again["strings"][0]] == [code[1:] for code in sent["strings"][0]]
    assert torch.equal(other.decode(**again), bank.decode(**sent))


def test_a_loaded_unit_can_be_exported_again_with_the_same_tensors(
    bank: SplitModel, other: SplitModel, pair: Path, tmp_path: Path
) -> None:
    load_unit(other, pair)
    again = export_unit(other, "coarse", tmp_path / "again")
    assert again.tensors.read_bytes() == pair.with_suffix(".safetensors").read_bytes()
    assert again.description.read_text() == pair.read_text()


def test_a_loaded_unit_can_be_trained_and_is_part_of_the_checkpoint(other: SplitModel, pair: Path) -> None:
    load_unit(other, pair.with_suffix(""))
    unit = other.units["coarse"]
    assert all(parameter.requires_grad and not parameter.is_meta for parameter in unit.parameters())
    assert not unit.training and {f"units.coarse.{name}" for name in unit.state_dict()} < set(other.state_dict())
    copy = make_bank({"own": UNIT, "more": {**UNIT, "step": 1.5}, "coarse": COARSE})
    copy.load_state_dict(other.state_dict())
    assert payloads(copy, "coarse", make_images(2)) == payloads(other, "coarse", make_images(2))


def test_the_bytes_to_ship_are_those_of_unit_and_table(bank: SplitModel, tmp_path: Path) -> None:
    files = export_unit(bank, "coarse", tmp_path)
    unit = bank.units["coarse"]
    assert files.unit_bytes == sum(value.nbytes for value in unit.state_dict().values())
    assert files.encoder_bytes == sum(value.nbytes for value in unit.encoder.state_dict().values())
    assert files.decoder_bytes == sum(value.nbytes for value in unit.decoder.state_dict().values())
    assert files.table_bytes == bank.tables["coarse"].coder.table_bytes > 0
    assert files.shipped_bytes == files.unit_bytes + files.table_bytes
    assert not [key for key in load_file(files.tensors) if "histogram" in key]


def test_the_description_says_what_the_unit_is(bank: SplitModel, pair: Path) -> None:
    content = json.loads(pair.read_text())
    assert content["format_version"] == 1 and content["cut"] == "layer2" and content["name"] == "coarse"
    assert content["unit"]["step"] == 2.0 and content["unit"]["topology"] == "conv2"
    assert content["geometry"] == {"kind": "covering", "stride": 2}
    assert content["tables_digest"] == bank.tables["coarse"].coder.digest


def test_files_are_never_overwritten_unless_asked(bank: SplitModel, pair: Path) -> None:
    with pytest.raises(ConfigError, match=r"coarse\.safetensors exists; .*overwrites=True"):
        export_unit(bank, "coarse", pair.parent)
    pair.with_suffix(".safetensors").unlink()
    with pytest.raises(ConfigError, match=r"coarse\.json exists"):
        export_unit(bank, "coarse", pair.parent)
    assert export_unit(bank, "coarse", pair.parent, overwrites=True).tensors.is_file()


def test_a_full_disk_leaves_no_half_of_a_pair(
    bank: SplitModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes | str) -> Path:
        if path.suffix == ".json":
            raise OSError(28, "No space left on device")
        return write_atomic(path, content)

    monkeypatch.setattr(unit_files, "write_atomic", full)
    with pytest.raises(OSError, match="No space left"):
        export_unit(bank, "coarse", tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    export_unit(bank, "coarse", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(unit_files, "write_atomic", full)
    with pytest.raises(OSError, match="No space left"):
        export_unit(bank, "fine", tmp_path, overwrites=True, exported_as="coarse")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_cannot_be_exported_is_refused(bank: SplitModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no unit `coarser`\. Did you mean `coarse"):
        export_unit(bank, "coarser", tmp_path)
    with pytest.raises(TableError, match=r"call `update\(\)` after training"):
        export_unit(make_split(), "unit", tmp_path)

    class OwnGeometry(CoveringGeometry):
        pass

    model = make_bank({"unit": {**UNIT, "geometry": OwnGeometry(2)}})
    with pytest.raises(ConfigError, match="a OwnGeometry cannot be described"):
        export_unit(model, "unit", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_unit_of_another_network_cut_or_input_size_is_refused(pair: Path) -> None:
    for model, message in (
        (make_split(seed=3), r"cut `layer2`.* another network"),
        (make_split(cut="layer3"), r"cut `layer2`.* another cut"),
    ):
        with pytest.raises(CheckpointError, match=message):
            load_unit(model, pair)
        assert list(model.units) == ["unit"]
    larger = SplitModel(make_network(), "layer2", {"unit": UNIT}, input_size=(3, 64, 64))
    with pytest.raises(CheckpointError, match="build the model with the `input_size`"):
        load_unit(larger, pair)


def test_half_a_pair_or_none_is_refused(other: SplitModel, pair: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no .*absent\.safetensors \(nor absent\.json\)"):
        load_unit(other, pair.parent / "absent")
    pair.with_suffix(".safetensors").rename(pair.parent / "kept")
    with pytest.raises(CheckpointError, match=r"only coarse\.json is there.*copy both"):
        load_unit(other, pair)
    pair.unlink()
    (pair.parent / "kept").rename(pair.with_suffix(".safetensors"))
    with pytest.raises(CheckpointError, match=r"only coarse\.safetensors is there.*copy both"):
        load_unit(other, pair)


def test_damaged_files_are_refused_and_nothing_is_added(bank: SplitModel, other: SplitModel, pair: Path) -> None:
    tensors = pair.with_suffix(".safetensors")
    good, text = tensors.read_bytes(), pair.read_text()
    flipped = bytearray(good)
    flipped[-100] ^= 1
    for content, message in ((good[:-9], "cannot be read"), (bytes(flipped), "is damaged"), (b"", "cannot be read")):
        tensors.write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            load_unit(other, pair)
    tensors.write_bytes(good)
    for content, message in (
        (text[:-20], "cannot be read"),
        ("[]", "describes no unit"),
        (text.replace('"step": 2.0', '"step": 1.0'), "was altered"),
        (text.replace('"format_version": 1', '"format_version": 2'), r"format version 2 .*reads 1"),
    ):
        pair.write_text(content)
        with pytest.raises(CheckpointError, match=message):
            load_unit(other, pair)
    pair.write_text(export_unit(bank, "fine", pair.parent).description.read_text())
    with pytest.raises(CheckpointError, match="belongs to another unit"):
        load_unit(other, pair)
    assert list(other.units) == list(other.tables) == ["own", "more"]


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("unit", {"step": 1.0}, "trained with step 2, not 1"),
        ("unit", {"latent_channels": 4}, r"`tables.assignment` is .*\(16, 3, 4\)"),
        ("unit", {"latent_channels": 10**9}, "what is no unit"),
        ("unit", {"in_channels": 64}, "its description makes it"),
        ("unit", {"topology": "conv3"}, "what is no unit .*unknown topology"),
        ("unit", {"stride": 3}, "what is no unit .*geometry has stride 2"),
        ("tables", {"alphabet_size": 10**12}, "its description makes it"),
        ("tables", {"depth": 1}, "what is no unit"),
        ("geometry", {"kind": "round"}, "what is no unit"),
    ],
)
def test_a_description_that_does_not_fit_its_tensors_is_refused(
    other: SplitModel, pair: Path, part: str, changes: dict, message: str
) -> None:
    rewrite(pair, **{part: {**json.loads(pair.read_text())[part], **changes}})
    with pytest.raises(CheckpointError, match=message):
        load_unit(other, pair)
    assert list(other.units) == ["own", "more"]


def test_tensors_of_another_type_are_refused(other: SplitModel, pair: Path) -> None:
    state = {key: value.half() if value.is_floating_point() else value
             for key, value in load_file(pair.with_suffix(".safetensors")).items()}  # fmt: skip
    save_file(state, pair.with_suffix(".safetensors"))
    rewrite(pair, tensors_digest=tensors_digest(state))
    with pytest.raises(CheckpointError, match=r"float16.* its description makes it .*float32"):
        load_unit(other, pair)
