"""What this installation can do: hosts, devices, codecs tried for real, optional packages, shipped configs."""

import importlib
import importlib.metadata
import platform
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Finding", "doctor_table", "examine"]

HOSTS = ("torch", "torchvision", "torchdistill", "sc2bench", "compressai")
OPTIONAL = {"pycocotools": "COCO's masks; `pip install pycocotools`"}
_CODEC_QUALITY = {"jpeg": 35, "webp": 45, "heic": 35, "bpg": 35, "vtm": 36}
_MARKS = {
    "ok": "[green]ok[/]",
    "absent": "[yellow]absent[/]",
    "failed": "[yellow]failed[/]",
    "missing": "[red]missing[/]",
}


class Finding(NamedTuple):
    """One line: what was looked at, how it is (`ok`, `absent`, `failed`, `missing`: needed), and what to do."""

    group: str
    part: str
    state: str
    detail: str


def examine() -> Iterator[Finding]:
    """Yields what is found, part by part; only a missing host is marked `missing`."""
    yield Finding("Python", "", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    hosts = [_package("Hosts", name, "missing", f"needed; `pip install {name}`") for name in HOSTS]
    yield from hosts
    if hosts[0].state == "ok":
        yield _devices()
    yield from (_package("Optional", name, "absent", use) for name, use in OPTIONAL.items())
    if any(host.state != "ok" for host in hosts):
        yield Finding("Codecs", "", "failed", "not tried; install the hosts first")
        return
    image = _generated_image()
    yield from (_codec(codec, quality, image) for codec, quality in _CODEC_QUALITY.items())
    yield from _configs()


def doctor_table(findings: list[Finding]) -> Table:
    """Returns the findings as one table, a group's name on its first line only."""
    table = Table(title="What this installation can do", title_justify="left")
    for column in ("", "Part", "Here", "Detail"):
        table.add_column(column, overflow="fold")
    previous = ""
    for finding in findings:
        if finding.group != previous and previous:
            table.add_section()
        group = "" if finding.group == previous else finding.group
        table.add_row(group, finding.part, _MARKS[finding.state], escape(finding.detail))
        previous = finding.group
    return table


def _package(group: str, name: str, otherwise: str, advice: str) -> Finding:
    """Imports a package; one that is there but does not import is no better than one that is not."""
    try:
        importlib.import_module(name)
        return Finding(group, name, "ok", importlib.metadata.version(name))
    except ModuleNotFoundError as error:
        if error.name == name:
            return Finding(group, name, otherwise, advice)
        return Finding(group, name, otherwise, f"cannot be imported ({error}); install what it lacks")
    except Exception as error:  # a package can fail in any way while it is imported
        return Finding(group, name, otherwise, f"cannot be imported ({error}); reinstall it")


def _devices() -> Finding:
    import torch

    from ..ops.precision import settled_precision

    found = ["cpu"]
    found += [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    found += ["mps"] if torch.backends.mps.is_available() else []
    trains_in = settled_precision("auto", "cpu")
    detail = f"{', '.join(found)}; CPU threads: {torch.get_num_threads()}; `--precision auto` on a CPU: {trains_in}"
    return Finding("Devices", "", "ok", detail)


def _generated_image() -> "Image.Image":
    """Returns a smooth 96x64 RGB picture with an edge and a little noise, the same each time."""
    import numpy as np
    from PIL import Image

    rows, columns = np.mgrid[0:64, 0:96]
    planes = np.stack([columns * 2.0, rows * 3.0, 60.0 + rows + columns], axis=2)
    planes[(rows - 32) ** 2 + (columns - 48) ** 2 < 400] = (220.0, 90.0, 40.0)
    noise = np.random.default_rng(0).normal(0, 4, planes.shape)
    return Image.fromarray(np.clip(planes + noise, 0, 255).astype(np.uint8))


def _codec(codec: str, quality: int, image: "Image.Image") -> Finding:
    """Codes and decodes the image."""
    import numpy as np

    from ..errors import SpicError
    from ..leaderboard import CodecPoint, unavailable_reason

    reason = unavailable_reason(codec)
    if reason:
        return Finding("Codecs", codec, "absent", reason)
    point = CodecPoint(codec, quality)
    try:
        coded = point.transmit(image)
    except SpicError as error:
        return Finding("Codecs", codec, "failed", str(error))
    difference = np.asarray(image, dtype=np.float64) - np.asarray(coded.image, dtype=np.float64)
    ratio = 10 * np.log10(255**2 / max(np.square(difference).mean(), 1e-12))
    size = f"{image.width}x{image.height}"
    return Finding(
        "Codecs", codec, "ok", f"{point.name}: a {size} image in {coded.payload_bytes} bytes, {ratio:.1f} dB"
    )


def _configs() -> Iterator[Finding]:
    from ..configs import list_configs
    from ..errors import SpicError

    try:
        folders = Counter(name.partition("/")[0] for name in list_configs())
    except SpicError as error:
        yield Finding("Configs", "", "failed", str(error))
        return
    listed = ", ".join(f"{folder} ({count})" for folder, count in sorted(folders.items()))
    yield Finding("Configs", "", "ok", f"{listed}; their names: `sc2-spic configs list`")
