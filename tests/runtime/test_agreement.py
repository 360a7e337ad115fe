"""Exported halves give the bytes and outputs of the model, bit for bit, for both tasks, in processes without hosts."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from half_parts import BANK, COARSE, Exported, make_classifier
from PIL import Image
from tiny_parts import make_images, make_network, make_split
from torch import Tensor

from sc2_spic_plugin.errors import BitstreamError, CheckpointError, ConfigError, CutError, DataError, TableError
from sc2_spic_plugin.models import SplitModel, export_unit, load_unit
from sc2_spic_plugin.models.exporting import add_units, export_halves, network
from sc2_spic_plugin.runtime import DeviceHalf, Manifest, ServerHalf
from sc2_spic_plugin.runtime.manifest import PROGRAMS
from sc2_spic_plugin.runtime.program import open_program

SIZES = [(2, 32, 32), (1, 40, 56), (3, 48, 64), (1, 17, 33), (1, 1, 1), (1, 150, 9)]


def tensors(output: Any) -> Iterator[Tensor]:
    yield from (output.values() if isinstance(output, dict) else [output])


def assert_agrees(model: SplitModel, device: DeviceHalf, server: ServerHalf, image: Tensor, unit: str) -> None:
    wanted = model.encode(image, unit=unit)
    payloads = device.encode(image, unit)
    assert payloads == wanted["strings"][0]
    output, own = model.decode(**wanted), server.decode(server.unpack(device.pack(payloads)))
    assert isinstance(own, dict) == isinstance(output, dict)
    assert all(torch.equal(one, two) for one, two in zip(tensors(output), tensors(own), strict=True))


@pytest.mark.parametrize("task", ["classifier", "segmenter"])
def test_halves_give_the_models_bytes_and_outputs_at_any_size_and_rate(
    task: str, request: pytest.FixtureRequest
) -> None:
    exported: Exported = request.getfixturevalue(task)
    device, server = exported.device, exported.server
    assert device.units == server.units == list(exported.model.units) and device.manifest.any_size
    assert len(device.manifest.default_sizes) == (4 if task == "segmenter" else 2)
    for size in SIZES:
        for unit in device.units:
            assert_agrees(exported.model, device, server, make_images(*size, seed=size[1]), unit)


def test_the_first_unit_is_the_one_used_unless_another_is_named(classifier: Exported) -> None:
    device, image = classifier.device, make_images(1)
    assert device.encode(image) == device.encode(image, "fine") != device.encode(image, "coarse")


def test_a_bank_of_one_is_exported_under_another_name(alone: Exported) -> None:
    device, server = alone.device, alone.server
    assert device.units == server.units == ["low"] and not list(alone.folder.rglob("unit.*"))
    payloads = device.encode(make_images(2), "low")
    assert payloads == alone.model.encode(make_images(2))["strings"][0]
    assert torch.equal(server.decode(payloads), alone.model.decode([payloads], (1, 1)))


def test_exporting_leaves_the_model_as_it_was(classifier: Exported) -> None:
    fresh, image = make_classifier(), make_images(2)
    assert fresh.encode(image)["strings"] == classifier.model.encode(image)["strings"]
    assert torch.equal(fresh(image), classifier.model(image))
    for half in ("front_end", "back_end"):
        pairs = zip(getattr(fresh, half).buffers(), getattr(classifier.model, half).buffers(), strict=True)
        assert all(torch.equal(one, two) and one.stride() == two.stride() for one, two in pairs)


def test_the_halves_share_their_units_and_neither_holds_the_other_half_of_the_network(classifier: Exported) -> None:
    device, server = (
        {
            path.relative_to(classifier.folder / half).as_posix(): path
            for path in (classifier.folder / half).rglob("*.*")
        }
        for half in ("device", "server")
    )
    assert set(device) ^ set(server) == {"front_end.pt2", "back_end.pt2"}
    for name in device.keys() & server.keys() - {"manifest.json"}:
        assert device[name].read_bytes() == server[name].read_bytes()


@pytest.fixture
def grown(copied: Exported) -> Exported:
    """The export with a third unit, and the model of that unit."""
    model = make_classifier({"unit": {**COARSE, "step": 4.0}})
    written = add_units(model, copied.folder, {"unit": "lowest"})
    assert written.first_index == 2 and written.units[0].shipped_bytes > 0
    return Exported(model, copied.folder)


def test_a_rate_is_added_without_touching_what_is_there(classifier: Exported, grown: Exported) -> None:
    for path in classifier.folder.rglob("*.*"):
        same = path.read_bytes() == (grown.folder / path.relative_to(classifier.folder)).read_bytes()
        assert same == (path.name != "manifest.json")
    device, server = grown.device, grown.server
    assert device.units == server.units == ["fine", "coarse", "lowest"]
    image = make_images(1, 40, 40)
    payloads = device.encode(image, "lowest")
    alone = grown.model.encode(image)
    assert [payload[1:] for payload in payloads] == [payload[1:] for payload in alone["strings"][0]]
    assert {payload[0] & 63 for payload in payloads} == {2}
    assert torch.equal(server.decode(payloads), grown.model.decode(**alone))
    for unit in BANK:
        assert_agrees(classifier.model, device, server, image, unit)
    bank = make_classifier()
    load_unit(bank, grown.folder / "device" / "units" / "lowest")
    assert_agrees(bank, device, server, make_images(2), "lowest")


def test_ends_that_differ_in_units_added_behind_understand_each_other(classifier: Exported, grown: Exported) -> None:
    image = make_images(1)
    for sender, receiver in ((classifier.device, grown.server), (grown.device, classifier.server)):
        sent = sender.encode(image, "coarse")
        assert receiver.unpack(sender.pack(sent)) == sent
    with pytest.raises(BitstreamError, match=r"name unit 2, this half has 2 \(fine, coarse\); copy the units"):
        classifier.server.unpack(grown.device.pack(grown.device.encode(image, "lowest")))


def test_containers_of_another_bank_are_refused(classifier: Exported, alone: Exported) -> None:
    for device, server in ((classifier.device, alone.server), (alone.device, classifier.server)):
        with pytest.raises(BitstreamError, match="coded with another bank"):
            server.unpack(device.pack(device.encode(make_images(1))))


def test_units_of_another_network_or_with_a_name_that_is_taken_are_not_added(copied: Exported) -> None:
    before = (copied.folder / "device" / "manifest.json").read_text()
    with pytest.raises(ConfigError, match=r"has a unit `fine`; pass --unit fine=ANOTHER_NAME"):
        add_units(copied.model, copied.folder)
    with pytest.raises(CheckpointError, match="export of another network"):
        add_units(make_classifier({"unit": COARSE}, seed=3), copied.folder)
    with pytest.raises(ConfigError, match=r"no unit `course`\. Did you mean `coarse`"):
        add_units(copied.model, copied.folder, {"course": "lowest"})
    with pytest.raises(CheckpointError, match="give the device half that"):
        add_units(copied.model, copied.folder / "absent")
    manifest = Manifest.read(copied.folder / "server", "server")
    Manifest(**{**vars(manifest), "units": manifest.units[:1]}).write(copied.folder / "server")
    with pytest.raises(CheckpointError, match="are of different exports"):
        add_units(copied.model, copied.folder, {"fine": "more"})
    assert (copied.folder / "device" / "manifest.json").read_text() == before


def test_what_cannot_be_exported_is_refused_before_anything_is_written(copied: Exported, tmp_path: Path) -> None:
    model, out = copied.model, tmp_path / "out"
    with pytest.raises(ConfigError, match=r"device holds an export; choose another folder, or pass --overwrite"):
        export_halves(model, copied.folder, "classification")
    with pytest.raises(ConfigError, match="`low rate` cannot name a unit"):
        export_halves(model, out, "classification", {"fine": "low rate"})
    with pytest.raises(ConfigError, match="two units would be exported under one name"):
        export_halves(model, out, "classification", {"fine": "low", "coarse": "low"})
    with pytest.raises(TableError, match="unit `fine` has no tables yet"):
        export_halves(make_split(units=BANK).eval(), out, "classification")
    bypassed = SplitModel(make_network(), "layer2.0.conv1", BANK, input_size=(3, 32, 32), allow_bypass=True)
    with pytest.raises(CutError, match="is bypassed: tensors cross"):
        export_halves(bypassed, out, "classification")
    assert not out.exists()


def test_a_network_that_cannot_be_exported_for_any_size_is_exported_for_one(
    classifier: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = network._programs

    def without_free_sizes(model: SplitModel, any_size: bool) -> dict[str, bytes]:
        if any_size:
            raise RuntimeError("no free sizes")
        return programs(model, any_size)

    monkeypatch.setattr(network, "_programs", without_free_sizes)
    assert not export_halves(classifier.model, tmp_path, "classification").any_size
    device, server = DeviceHalf(tmp_path), ServerHalf(tmp_path)
    for count in (1, 3):
        assert_agrees(classifier.model, device, server, make_images(count), "coarse")
    with pytest.raises(DataError, match="the image is 40x56, this export takes 32x32 alone"):
        device.encode(make_images(1, 40, 56))


def test_a_network_that_computes_otherwise_when_exported_is_refused(
    classifier: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {half: classifier.folder / half / PROGRAMS[half] for half in ("device", "server")}
    programs = {half: path.read_bytes() for half, path in files.items()}
    monkeypatch.setattr(network, "_programs", lambda model, any_size: programs)
    with pytest.raises(CutError, match="differs from the original on images of 32x32"):
        export_halves(make_classifier(seed=3), tmp_path / "out", "classification")
    assert not (tmp_path / "out").exists()


def test_a_program_moves_to_another_device_whole(segmenter: Exported) -> None:
    data = (segmenter.folder / "server" / "back_end.pt2").read_bytes()
    features = torch.empty(2, 128, 6, 8, device="meta")
    assert open_program(data, "back_end.pt2", device="meta")(features, 48, 64)["out"].shape == (2, 3, 48, 64)


def test_unit_files_of_export_unit_are_those_of_a_half(classifier: Exported, tmp_path: Path) -> None:
    files = export_unit(classifier.model, "fine", tmp_path)
    for path in (files.tensors, files.description):
        assert path.read_bytes() == (classifier.folder / "device" / "units" / path.name).read_bytes()


BLOCKED = """
import sys
for host in ("sc2bench", "torchdistill", "torchvision", "timm", "compressai"):
    sys.modules[host] = None
import torch, typer
torch.set_num_threads(1)
from sc2_spic_plugin.cli.halves import {command}
typer.run({command})
"""


def start_without_hosts(command: str, *arguments: object) -> subprocess.Popen[str]:
    script = [sys.executable, "-c", BLOCKED.format(command=command), *map(str, arguments)]
    return subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_processes_without_the_hosts_encode_and_decode_as_the_model_does(segmenter: Exported, tmp_path: Path) -> None:
    images, model = [tmp_path / "a.png", tmp_path / "b.png"], segmenter.model
    for path, (_, height, width) in zip(images, SIZES[1:], strict=False):
        pixels = (make_images(1, height, width)[0].sigmoid() * 255).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(path)
    inputs = [segmenter.device.prepare(Image.open(path))[None] for path in images]
    sent = [model.encode(image)["strings"][0][0] for image in inputs]
    (tmp_path / "given.spic").write_bytes(segmenter.device.pack(sent))
    device, server = segmenter.folder / "device", segmenter.folder / "server"
    both = (
        start_without_hosts("encode", *images, "-o", tmp_path / "sent.spic", "--halves", device),
        start_without_hosts("decode", tmp_path / "given.spic", "--halves", server, "-o", tmp_path / "masks"),
    )
    try:
        said = [process.communicate(timeout=300) for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0], said
    assert (tmp_path / "sent.spic").read_bytes() == (tmp_path / "given.spic").read_bytes()
    assert [line.split(": ")[0] for line in said[1][0].splitlines()] == ["1", "2"]
    for number, payload in enumerate(sent, 1):
        labels = model.decode([[payload]], (1, 1))["out"][0].argmax(0)
        mask = torch.from_numpy(np.array(Image.open(tmp_path / "masks" / f"{number}.png")))
        assert torch.equal(mask, labels.byte()) and labels.unique().numel() > 1
