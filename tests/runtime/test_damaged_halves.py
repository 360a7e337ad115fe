"""Damaged, foreign, incomplete or mixed-up halves and data are refused with what to do."""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from half_parts import Exported
from PIL import Image
from tiny_parts import make_images

from sc2_spic_plugin.coding import Payload, pack_payload, write_container
from sc2_spic_plugin.errors import BitstreamError, CheckpointError, ConfigError, DataError
from sc2_spic_plugin.runtime import DeviceHalf, Manifest, ServerHalf
from sc2_spic_plugin.runtime.archive import checked_archive
from sc2_spic_plugin.runtime.sealed_json import content_digest


def rewrite(path: Path, **changes: object) -> None:
    """Changes a manifest as its writer could have, with the digest that belongs to it."""
    content = {**json.loads(path.read_text()), **changes}
    del content["digest"]
    path.write_text(json.dumps({**content, "digest": content_digest(content)}))


def flip(path: Path, place: int = -1000) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def swap_units(half: Path) -> None:
    for suffix in ("json", "safetensors"):
        fine, coarse = (half / "units" / f"{name}.{suffix}" for name in ("fine", "coarse"))
        data = fine.read_bytes()
        fine.write_bytes(coarse.read_bytes())
        coarse.write_bytes(data)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda half: (half / "manifest.json").unlink(), r"no .*manifest\.json; give the device half"),
    "altered": (
        lambda half: (half / "manifest.json").write_text((half / "manifest.json").read_text().replace("true", "false")),
        r"manifest\.json was altered",
    ),
    "newer": (lambda half: rewrite(half / "manifest.json", format_version=2), "format version 2 .* reads 1"),
    "other format": (lambda half: rewrite(half / "manifest.json", format="other"), "describes no half of a model"),
    "units that climb": (
        lambda half: rewrite(half / "manifest.json", units=[{"name": "../secret", "digest": ""}]),
        "describes no half of a model",
    ),
    "no units": (lambda half: rewrite(half / "manifest.json", units=[]), "describes no half of a model"),
    "no sizes": (lambda half: rewrite(half / "manifest.json", default_sizes=["4", 4]), "describes no half of a model"),
    "no program": (lambda half: (half / "front_end.pt2").unlink(), r"front_end\.pt2 cannot be read .*copy the whole"),
    "damaged program": (lambda half: flip(half / "front_end.pt2"), r"front_end\.pt2 is damaged, or belongs to another"),
    "cut short": (
        lambda half: (half / "front_end.pt2").write_bytes((half / "front_end.pt2").read_bytes()[:-9]),
        r"front_end\.pt2 is damaged",
    ),
    "missing unit": (
        lambda half: [(half / "units" / f"fine.{suffix}").unlink() for suffix in ("json", "safetensors")],
        r"no .*fine\.safetensors \(nor fine\.json\)",
    ),
    "half a unit": (lambda half: (half / "units" / "fine.json").unlink(), "only fine.safetensors is there"),
    "damaged unit": (lambda half: flip(half / "units" / "fine.safetensors", -100), r"fine\.safetensors is damaged"),
    "no safetensors": (
        lambda half: (half / "units" / "fine.safetensors").write_bytes(b"no"),
        r"fine\.safetensors cannot be read",
    ),
    "swapped units": (swap_units, r"fine\.json is another unit than the manifest names"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_half_says_which_file_is_wrong(damage: str, copied: Exported) -> None:
    do, message = DAMAGE[damage]
    do(copied.folder / "device")
    with pytest.raises(CheckpointError, match=message):
        DeviceHalf(copied.folder / "device").encode(make_images(1))


def test_a_missing_unit_leaves_the_others_usable(copied: Exported) -> None:
    for path in (copied.folder / "server" / "units").glob("fine.*"):
        path.unlink()
    coarse, fine = (copied.model.encode(make_images(1), unit=unit)["strings"][0] for unit in ("coarse", "fine"))
    assert torch.equal(copied.server.decode(coarse), copied.model.decode([coarse], (1, 1)))
    with pytest.raises(CheckpointError, match="copy both, or export it again"):
        copied.server.decode(fine)


def test_one_half_is_not_taken_for_the_other(classifier: Exported) -> None:
    with pytest.raises(CheckpointError, match="server is the server half; give the device half"):
        DeviceHalf(classifier.folder / "server")
    with pytest.raises(CheckpointError, match="device is the device half; give the server half"):
        ServerHalf(classifier.folder / "device")


def test_a_program_of_another_half_is_refused(copied: Exported) -> None:
    (copied.folder / "device" / "front_end.pt2").write_bytes((copied.folder / "server" / "back_end.pt2").read_bytes())
    with pytest.raises(CheckpointError, match="belongs to another half than its manifest"):
        DeviceHalf(copied.folder)


def test_unknown_units_and_impossible_images_are_refused(classifier: Exported, segmenter: Exported) -> None:
    with pytest.raises(ConfigError, match=r"no unit `course`\. Did you mean `coarse`"):
        classifier.device.encode(make_images(1), "course")
    for images in (make_images(1)[0], make_images(1)[:, :2]):
        with pytest.raises(DataError, match=r"expected images \(B, 3, H, W\)"):
            classifier.device.encode(images)
    with pytest.raises(ConfigError, match="more than 16 times as long"):
        classifier.device.encode(make_images(1, 4, 600))
    with pytest.raises(DataError, match="the network cannot take images of 0x64"):
        segmenter.device.encode(make_images(1, 0, 64))


def test_pictures_are_refused_where_their_preparation_is_not_known(alone: Exported) -> None:
    with pytest.raises(ConfigError, match="does not say how pictures are prepared; prepare them as in training"):
        alone.device.prepare(Image.new("RGB", (40, 40)))


def test_foreign_newer_and_damaged_containers_are_refused(classifier: Exported) -> None:
    server, good = classifier.server, classifier.device.pack(classifier.device.encode(make_images(2)))
    newer = good[:4] + b"\x02" + good[5:]
    damaged = good[:-6] + bytes([good[-6] ^ 1]) + good[-5:]
    for data, message in (
        (b"PNG" + good, "do not begin with `SPIC`"),
        (newer, "format version 2"),
        (good[:-3], "truncated"),
        (damaged, "checksum does not fit"),
    ):
        with pytest.raises(BitstreamError, match=message):
            server.unpack(data)
    assert server.unpack(classifier.device.pack([])) == []


def test_headers_of_no_unit_or_of_impossible_sizes_are_refused(classifier: Exported, segmenter: Exported) -> None:
    server = classifier.server
    with pytest.raises(BitstreamError, match=r"names unit 2 .* 2 units"):
        server.decode([b"\x02"])
    with pytest.raises(BitstreamError, match="name unit 2, this half has 2"):
        server.unpack(write_container([b"\x02"], server.manifest.bank_digest(1)))
    with pytest.raises(BitstreamError, match="far above this model's"):
        server.decode([pack_payload(Payload(0, (4, 9000)), (4, 4))])
    with pytest.raises(BitstreamError, match="must share unit and sizes"):
        server.decode([b"\x00", b"\x01"])
    with pytest.raises(BitstreamError, match="no payload to decode"):
        server.decode([])
    with pytest.raises(BitstreamError, match="which the network cannot take"):
        segmenter.server.decode([pack_payload(Payload(0, (6, 8, 0, 64)), (6, 8, 48, 64))])


def tampered(program: bytes, name: str, change: Callable[[bytes], bytes]) -> bytes:
    """Returns the archive with one of its files changed, or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(program)) as archive, zipfile.ZipFile(buffer, "w") as changed:
        found = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        root = next(iter(found)).split("/")[0]
        found[f"{root}/{name}"] = change(found.get(f"{root}/{name}", b""))
        for path, data in found.items():
            changed.writestr(path, data)
    return buffer.getvalue()


TAMPERED: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "example inputs": ("data/sample_inputs/model.pt", lambda _: b"pickle", "pickled example inputs"),
    "legacy weights": ("data/weights/model.pt", lambda _: b"pickle", "it holds `.*data/weights/model.pt`"),
    "object": ("data/constants/custom_obj_0", lambda _: b"pickle", "it holds `.*custom_obj_0`"),
    "machine code": ("data/aotinductor/model/model.so", lambda _: b"code", r"it holds `.*model\.so`"),
    "pickled tensor": (
        "data/constants/model_constants_config.json",
        lambda data: data.replace(b'"use_pickle": false', b'"use_pickle": true', 1),
        "is pickled",
    ),
    "function": (
        "models/model.json",
        lambda data: data.replace(b"torch.ops.aten.relu.default", b"torch.hub.load", 1),
        r"calls `torch\.hub\.load`",
    ),
    "file": (
        "models/model.json",
        lambda data: data.replace(b"torch.ops.aten.relu.default", b"torch.ops.aten.from_file.default", 1),
        "calls `torch.ops.aten.from_file",
    ),
    "expression": (
        "models/model.json",
        lambda data: data.replace(b"Symbol(", b"__import__(", 1),
        r"computes the size `.*__import__\(",
    ),
    "endless expression": (
        "models/model.json",
        lambda data: data.replace(b"Symbol(", b"1" * 80 + b"!Symbol(", 1),
        "computes the size `1111",
    ),
    "name that is code": (
        "models/model.json",
        lambda data: data.replace(b'"name": "features"', b'"name": "features=__import__(0)"', 1),
        r"calls a value `features=__import__\(0\)`",
    ),
    "name that is code, of a tensor": (
        "models/model.json",
        lambda data: data.replace(b'"features": {', b'"features=__import__(0)": {', 1),
        r"holds `features=__import__\(0\)`",
    ),
    "container": (
        "models/model.json",
        lambda data: data.replace(b"builtins.tuple", b"collections.defaultdict", 1),
        "takes or returns a `collections.defaultdict`",
    ),
    "inner graph": (
        "models/model.json",
        lambda data: data.replace(b'"as_tensors"', b'"as_graph"', 1),
        "holds `as_graph`",
    ),
    "no JSON": ("models/model.json", lambda data: data[:-1], "cannot be read"),
}


@pytest.mark.parametrize("fault", TAMPERED)
def test_nothing_is_opened_that_would_be_unpickled_or_evaluated(fault: str, segmenter: Exported) -> None:
    name, change, message = TAMPERED[fault]
    program = (segmenter.folder / "server" / "back_end.pt2").read_bytes()
    checked_archive(program, "back_end.pt2")
    with pytest.raises(CheckpointError, match=f"back_end.pt2 is none of the files .*{message}"):
        checked_archive(tampered(program, name, change), "back_end.pt2")


def test_what_is_opened_is_packed_anew_from_what_was_looked_at(segmenter: Exported) -> None:
    program = (segmenter.folder / "server" / "back_end.pt2").read_bytes()
    other = tampered(program, "data/sample_inputs/model.pt", lambda _: b"a pickle for readers of the first directory")
    checked = checked_archive(other + program, "back_end.pt2")
    assert b"a pickle" in other and b"a pickle" not in checked
    with zipfile.ZipFile(io.BytesIO(checked)) as clean, zipfile.ZipFile(io.BytesIO(program)) as before:
        assert clean.namelist() == before.namelist() and clean.testzip() is None
        (graph,) = (json.loads(clean.read(name)) for name in clean.namelist() if name.endswith("/model.json"))
    assert graph["guards_code"] == [] and not any(node["metadata"] for node in graph["graph_module"]["graph"]["nodes"])


def test_an_archive_with_two_files_of_one_name_or_none_is_refused(segmenter: Exported) -> None:
    program = (segmenter.folder / "server" / "back_end.pt2").read_bytes()
    buffer = io.BytesIO(program)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(archive.namelist()[0], b"{}")
    for data, message in ((buffer.getvalue(), "it holds a file twice"), (b"", "cannot be read")):
        with pytest.raises(CheckpointError, match=message):
            checked_archive(data, "back_end.pt2")


def test_a_program_of_another_torch_names_both_versions(copied: Exported) -> None:
    half = copied.folder / "device"
    program = tampered(
        (half / "front_end.pt2").read_bytes(),
        "models/model.json",
        lambda data: data.replace(b'"major": 8', b'"major": 99'),
    )
    (half / "front_end.pt2").write_bytes(program)
    changes = {"program_sha256": hashlib.sha256(program).hexdigest(), "torch_version": "9.9"}
    rewrite(half / "manifest.json", **changes)
    with pytest.raises(CheckpointError, match=rf"written by torch 9\.9 and torch {torch.__version__.split('+')[0]}"):
        DeviceHalf(half)


def test_a_manifest_is_read_back_as_it_was_written(classifier: Exported, tmp_path: Path) -> None:
    manifest = Manifest.read(classifier.folder / "device", "device")
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path, "device") == manifest and manifest.names == ["fine", "coarse"]
    assert len({manifest.bank_digest(index) for index in range(2)}) == 2
