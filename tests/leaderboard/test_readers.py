"""Other people's numbers: read as reported, marked, under a protocol that is named, and competing with none."""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from reported_parts import standing
from sc2bench.analysis import FileSizeAnalyzer
from torchdistill.common.constant import LOGGING_FORMAT
from typer.testing import CliRunner, Result

from sc2_spic_plugin.analyzers import ImageSizes, SpicSizeAnalyzer
from sc2_spic_plugin.cli.comparing import leaderboard
from sc2_spic_plugin.cli.converting import convert
from sc2_spic_plugin.errors import ConfigError, DataError
from sc2_spic_plugin.leaderboard import ResultFile, compare_all, group_of, load_protocol, render_markdown
from sc2_spic_plugin.leaderboard.readers import (
    ReportedCurve,
    ReportedPoint,
    as_result,
    detect_format,
    read_reported,
)
from sc2_spic_plugin.leaderboard.results.collect import Source

PIXELS = 224 * 224
app = typer.Typer()
for command in (convert, leaderboard):
    app.command()(command)


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class Log:
    """A log made as sc2bench's scripts make theirs: their format, their messages, their analyzer."""

    def __init__(self, path: Path) -> None:
        self.path, self.logger = path, logging.getLogger("sc2bench.analysis")
        self.handler = logging.FileHandler(path)
        self.handler.setFormatter(logging.Formatter(LOGGING_FORMAT))

    def begin(self, config: str, **options: Any) -> None:
        self.say(argparse.Namespace(adjust_lr=False, config=config, device="cpu", **options))

    def say(self, message: object) -> None:
        self.logger.info(message)

    def accuracy(self, top1: float, top5: float) -> None:
        self.say(f" * Acc@1 {top1:.4f}\tAcc@5 {top5:.4f}\n")

    def sizes(self, kilobytes: list[float], unit: str = "KB") -> None:
        analyzer = FileSizeAnalyzer(unit=unit)
        analyzer.file_size_list = kilobytes
        analyzer.summarize()

    def __enter__(self) -> "Log":
        root = logging.getLogger()
        root.addHandler(self.handler)
        self.level = root.level
        root.setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self.handler)
        logging.getLogger().setLevel(self.level)
        self.handler.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A whole run: training with validation, the teacher's test, the student's."""
    with Log(tmp_path / "run.log") as log:
        log.begin("configs/splitable_resnet50-fp-beta0.16.yaml", seed=3)
        log.say("Start training")
        log.accuracy(11.0, 22.0)
        log.say("Best top-1 accuracy: 0.0000 -> 11.0000")
        log.say("[Teacher: resnet50]")
        log.accuracy(76.13, 92.862)
        log.say("[Student: splittable_resnet]")
        log.accuracy(74.25, 91.98)
        log.sizes([2.0, 4.0])
    return tmp_path / "run.log"


def test_a_log_gives_the_students_test_and_the_harness_size(log: Path) -> None:
    assert detect_format(log) == "sc2bench"
    result = as_result([read_reported(log)], standing())
    (point,) = result.points
    assert (point.top1, point.top5, point.unit, point.seed) == (74.25, 91.98, "splitable_resnet50-fp-beta0.16", 3)
    assert point.harness_kilobytes == 3.0 and point.bpp == pytest.approx(3 * 1024 * 8 / PIXELS)
    assert point.payload_bytes is None and point.code_bytes is None, "sc2bench's size is of a pickled object"
    meta = result.meta
    assert meta.samples == 2 and meta.date.count("-") == 2 and "T" in meta.date and "sc2bench" in meta.code_version
    assert "as reported" in result.description and "not measured here" in result.description


@pytest.mark.parametrize(("unit", "factor"), [("B", 1 / 1024), ("KB", 1), ("MB", 1024)])
def test_sizes_of_any_unit_become_kilobytes_of_1024(tmp_path: Path, unit: str, factor: float) -> None:
    with Log(tmp_path / "run.log") as log:
        log.say("[Student: splittable_resnet]")
        log.accuracy(70.0, 90.0)
        log.sizes([5.0], unit)
    (point,) = read_reported(tmp_path / "run.log").points
    assert point.kilobytes == pytest.approx(5 * factor) and point.unit == "run"


def test_payload_bytes_of_our_analyzer_take_the_place_of_the_harness_size(tmp_path: Path) -> None:
    analyzer = SpicSizeAnalyzer()
    analyzer.images = [ImageSizes(30, 32, 140, PIXELS), ImageSizes(34, 36, 144, PIXELS)]
    with Log(tmp_path / "run.log") as log:
        log.say("[Student: spic_classifier]")
        log.accuracy(70.0, 90.0)
        log.sizes([140 / 1024, 144 / 1024])
        analyzer.summarize()
    (point,) = as_result([read_reported(tmp_path / "run.log")], standing()).points
    assert (point.payload_bytes, point.code_bytes) == (34.0, 32.0)
    assert point.bpp == pytest.approx(34 * 8 / PIXELS)


def test_segmentation_logs_give_the_mean_iou(tmp_path: Path) -> None:
    with Log(tmp_path / "run.log") as log:
        log.say("[Student: deeplabv3_model]")
        log.say(
            "mean IoU: 62.7, IoU: ['91.0', '34.4'], Global pixelwise acc: 91.0, Average row correct: ['97.0', '37.0']"
        )
        log.sizes([8.0])
    curve = read_reported(tmp_path / "run.log")
    (point,) = as_result([curve], standing(protocol=load_protocol("coco21-513"))).points
    assert point.miou == 62.7 and point.bpp == pytest.approx(8 * 1024 * 8 / 513**2)
    with pytest.raises(DataError, match="reports no top1"):
        as_result([curve], standing())
    with pytest.raises(ConfigError, match="each image's own pixels"):
        as_result([curve], standing(protocol=load_protocol("voc2012-513")))


def test_a_log_that_several_runs_wrote_into_gives_several_points(log: Path) -> None:
    text = log.read_text()
    log.write_text(text + text.replace("beta0.16", "beta0.32").replace("74.2500", "73.0000"))
    assert [(point.unit[-8:], point.accuracies["top1"]) for point in read_reported(log).points] == [
        ("beta0.16", 74.25),
        ("beta0.32", 73.0),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.split("[Student")[0], "no test of a student"),
        (lambda text: text.split("Bottleneck")[0], "FileSizeAnalyzer"),
        (lambda text: text.replace("74.2500", "nan"), "is NaN"),
        (lambda text: text.replace("mean 3.0", "mean nan"), "is NaN"),
        (lambda text: text.replace("Acc@1 74", "AP 74"), "object detection is not read"),
        (lambda text: text + text.splitlines()[-1].replace("mean 3.0", "mean 2.0"), "two analyzers"),
    ],
)
def test_a_log_that_lacks_something_says_what(log: Path, change: Callable[[str], str], message: str) -> None:
    log.write_text(change(log.read_text()))
    with pytest.raises(DataError, match=message):
        read_reported(log)


def test_our_own_results_are_nobody_elses(make_result: Callable[..., ResultFile], tmp_path: Path) -> None:
    path = make_result().save(tmp_path / "ours.json")
    assert detect_format(path) is None
    with pytest.raises(DataError, match="cannot be read"):
        detect_format(tmp_path / "absent.json")


def test_curves_of_one_kind_join_and_others_do_not() -> None:
    curves = [
        ReportedCurve(f"{name}.log", "sc2bench", [ReportedPoint(name, {"top1": 70.0}, bpp=0.1)], "note.", samples=5)
        for name in ("a", "b")
    ]
    result = as_result(curves, standing())
    assert len(result.points) == 2 and "a.log, b.log" in result.description and result.meta.samples == 5
    with pytest.raises(ConfigError, match="of several"):
        as_result([*curves, ReportedCurve("c", "CompressAI", curves[0].points, "")], standing())
    with pytest.raises(DataError, match="different numbers of images"):
        as_result([*curves, ReportedCurve("c", "sc2bench", [], "", samples=6)], standing())
    with pytest.raises(DataError, match="there twice"):
        as_result([curves[0], curves[0]], standing())
    with pytest.raises(DataError, match="reports no rate"):
        as_result([ReportedCurve("c", "sc2bench", [ReportedPoint("u", {"top1": 1.0})], "")], standing())


def test_reported_rows_share_a_table_only_where_somebody_says_so_and_never_compete(
    log: Path, make_result: Callable[..., ResultFile], tmp_path: Path
) -> None:
    protocol = load_protocol("imagenet-224")
    meta = {"protocol": protocol.name, "protocol_sha256": protocol.sha256, "dataset": "ImageNet"}
    jpeg = make_result("jpeg", [(2000.0, 60.0), (9000.0, 75.0)], samples=2, **meta)
    beside = jpeg.save(tmp_path / "jpeg.json")
    options = ["--method", "entropic_student", "--protocol", "imagenet-224"]
    refused = _run("convert", log, "--out", tmp_path / "own.json", *options)
    assert isinstance(refused.exception, ConfigError) and "--dataset and --network missing" in str(refused.exception)
    told = ["--dataset", "ImageNet", "--network", "resnet50"]
    own = _run("convert", log, "--out", tmp_path / "own.json", *options, *told)
    assert own.exit_code == 0 and "a table of their own" in own.stdout
    joined = _run("convert", log, "--out", tmp_path / "joined.json", *options, "--beside", beside)
    assert joined.exit_code == 0 and "of their own" not in joined.stdout
    more = make_result("jpeg", [(2000.0, 60.0)], samples=50, **meta).save(tmp_path / "more.json")
    batches = _run("convert", log, "--out", tmp_path / "batches.json", *options, "--beside", more)
    assert "report on 2 samples, `jpeg` on 50 images" in str(batches.exception)
    results = {name: ResultFile.load(tmp_path / f"{name}.json") for name in ("own", "joined")}
    assert group_of(results["own"]) != group_of(jpeg) == group_of(results["joined"])
    (comparison,) = compare_all([Source(jpeg), Source(results["joined"])], ["jpeg"])
    assert [curve.meta.method for curve, _ in comparison.excluded] == ["entropic_student"]
    assert comparison.against == [] and not any(curve.competes for curve, _ in comparison.excluded)
    (row,) = (
        line
        for line in render_markdown([jpeg, results["joined"]]).splitlines()
        if line.startswith("| Entropic Student")
    )
    assert "bits as reported" in row and "*" not in row


def test_rows_are_refused_beside_results_of_another_protocol(
    log: Path, make_result: Callable[..., ResultFile], tmp_path: Path
) -> None:
    beside = make_result("jpeg").save(tmp_path / "jpeg.json")
    refused = _run(
        *("convert", log, "--out", tmp_path / "x.json", "--method", "jpeg"),
        *("--protocol", "imagenet-224", "--beside", beside),
    )
    assert "protocol imagenette-160, not imagenet-224" in str(refused.exception) and not (tmp_path / "x.json").exists()
    for options, message in (
        (["--supervision", "self"], "`supervised` or `unsupervised`"),
        (["--beside", beside, "--dataset", "x"], "leave --dataset and --network out"),
    ):
        arguments = ["convert", log, "--out", tmp_path / "x.json", "--method", "jpeg", "--protocol", "imagenet-224"]
        assert message in str(_run(*arguments, *options).exception)
    wrong = _run("convert", log, "--out", tmp_path / "x.txt", "--method", "jpeg", "--protocol", "imagenet-224")
    assert "written as .json" in str(wrong.exception)
