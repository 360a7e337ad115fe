"""Run logs of sc2bench's scripts: accuracy and size of each test that a log holds."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import DataError
from .reported import ReportedCurve, ReportedPoint

__all__ = ["looks_like_log", "read_sc2bench_log"]

HARNESS = "sc2bench"
_NUMBER = r"(nan|[\d.]+(?:e[-+]?\d+)?)"
_DATE = re.compile(r"^(\d{4})[/-](\d\d)[/-](\d\d) (\d\d:\d\d:\d\d)")
_ARGUMENTS = re.compile(r"Namespace\(.*?config='(?P<config>[^']*)'")
_SEED = re.compile(r"Namespace\(.*?seed=(\d+)")
_TEST = re.compile(r"\[(Student|Teacher): [^\]]+\]\s*$")
_TOP = re.compile(rf"\* Acc@1 {_NUMBER}\s+Acc@5 {_NUMBER}")
_MIOU = re.compile(rf"mean IoU: {_NUMBER}, IoU: \[")
_HARNESS_SIZE = re.compile(rf"Bottleneck size \[(B|KB|MB)\]: mean {_NUMBER} std \S+(?: for (\d+) samples)?")
_OWN_SIZE = re.compile(rf"\b(code_bytes|payload_bytes|bits_per_image_pixel): mean {_NUMBER} std \S+ for (\d+) images")
_KILOBYTES = {"B": 1 / 1024, "KB": 1.0, "MB": 1024.0}
_NOTE = (
    "sc2bench counts the compressed object pickled with its dictionary (about 100 bytes above the code), and image "
    "codecs as bare bytes."
)
_OWN_NOTE = "Payload bytes are those that this package's analyzer printed in sc2bench's run."


@dataclass
class _Test:
    """What a log says after `[Student: ...]`."""

    unit: str
    seed: int | None
    accuracies: dict[str, float] = field(default_factory=dict)
    kilobytes: list[float] = field(default_factory=list)
    own: dict[str, float] = field(default_factory=dict)
    samples: int | None = None


def looks_like_log(text: str) -> bool:
    """Returns whether a text is a log of sc2bench's scripts."""
    return any(pattern.search(text) for pattern in (_ARGUMENTS, _TOP, _MIOU, _HARNESS_SIZE))


def read_sc2bench_log(path: Path) -> ReportedCurve:
    """Reads the log of a classification or segmentation script (`--run_log`, or what it printed).

    Validation during training is passed over, and so is the teacher's test: a point is what stands after
    `[Student: ...]`. A log that several runs wrote into gives several points.

    Raises:
        DataError: a log without a test, with a test that has no accuracy or size, or with a NaN.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    tests, date = _tests(text, path.stem)
    if not tests:
        raise DataError(
            f"{path} holds no test of a student: the run stopped before it, or trained only. Run the script with "
            "-test_only, or give the log of a run that ended."
        )
    samples = {test.samples for test in tests}
    if len(samples) > 1:
        raise DataError(f"{path}: its tests report on different numbers of images: {samples}; give one log each.")
    own = all(test.own for test in tests)
    points = [_point(test, path) for test in tests]
    return ReportedCurve(path.name, HARNESS, points, _OWN_NOTE if own else _NOTE, samples=samples.pop(), date=date)


def _tests(text: str, stem: str) -> tuple[list[_Test], str | None]:
    tests: list[_Test] = []
    unit, seed, date = stem, None, None
    current: _Test | None = None
    for line in text.splitlines():
        if found := _DATE.match(line):
            date = "{}-{}-{}T{}".format(*found.groups())
        if found := _ARGUMENTS.search(line):
            unit, current = Path(found["config"]).stem, None
            given = _SEED.search(line)
            seed = int(given[1]) if given else None
        elif found := _TEST.search(line):
            current = _Test(unit, seed) if found[1] == "Student" else None
            tests += [current] if current else []
        elif current is not None:
            _read_line(line, current)
    return tests, date


def _read_line(line: str, test: _Test) -> None:
    if found := _TOP.search(line):
        test.accuracies |= {"top1": float(found[1]), "top5": float(found[2])}
    elif found := _MIOU.search(line):
        test.accuracies["miou"] = float(found[1])
    elif found := _HARNESS_SIZE.search(line):
        test.kilobytes.append(float(found[2]) * _KILOBYTES[found[1]])
        test.samples = int(found[3]) if found[3] else test.samples
    elif found := _OWN_SIZE.search(line):
        test.own[found[1]] = float(found[2])
        test.samples = int(found[3])


def _point(test: _Test, path: Path) -> ReportedPoint:
    values = [*test.accuracies.values(), *test.kilobytes, *test.own.values()]
    if any(value != value for value in values):
        raise DataError(f"{path}, test of `{test.unit}`: a value is NaN, so it is no point (a class never occurred?).")
    if not test.accuracies:
        raise DataError(f"{path}, test of `{test.unit}`: no Acc@1 and no mean IoU; object detection is not read.")
    if not test.kilobytes and not test.own:
        raise DataError(
            f"{path}, test of `{test.unit}`: no `Bottleneck size`: nothing was analysed. Give the model's config an "
            "`analysis_config` with FileSizeAnalyzer and test again."
        )
    if len(set(test.kilobytes)) > 1:
        raise DataError(f"{path}, test of `{test.unit}`: two analyzers report different sizes: {test.kilobytes} KB.")
    return ReportedPoint(
        test.unit,
        test.accuracies,
        bpp=test.own.get("bits_per_image_pixel"),
        kilobytes=test.kilobytes[0] if test.kilobytes else None,
        payload_bytes=test.own.get("payload_bytes"),
        code_bytes=test.own.get("code_bytes"),
        seed=test.seed,
    )
