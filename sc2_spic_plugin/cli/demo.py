"""The main job in one command: train a network and every method, measure all in real bytes, one table, one plot."""

import dataclasses
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..analyzers import ImageSizes
from ..configs import resolve_config
from ..configs.suite import MethodPlan, Suite, load_suite
from ..datasets import IMAGE_EXTENSIONS
from ..errors import ConfigError, DataError
from ..leaderboard import (
    CodecPoint,
    Meta,
    Point,
    ResultFile,
    per_image_csv_path,
    plot_rate_accuracy,
    render_console,
    render_markdown,
    unavailable_reason,
    write_per_image_csv,
)
from ..leaderboard.evaluate import Evaluation, evaluate
from ..models.network import load_weights
from ..ops import write_atomic
from ..training.build import BuiltConfig, build_config
from .progress import console, reporter
from .running import Measured, RunOptions, run_config

__all__ = ["DemoOptions", "run_demo"]

EPOCHS = "train.stage1.num_epochs"
BATCH, HELD_OUT = 64, 0.1  # of the folder configs


@dataclass(frozen=True)
class DemoOptions:
    """What `sc2-spic demo` was asked for; see its help."""

    out: Path
    quick: bool = False
    data: Path | None = None
    network: Path | None = None
    epochs: int | None = None
    device: str = "cpu"

    def suite_name(self) -> str:
        """Returns the name of the suite that fits."""
        if self.data is None and self.network is not None:
            raise ConfigError("--network needs --data: the synthetic demo trains its own network.")
        return ("demo" if self.data is None else "demo_folder") + ("_quick" if self.quick else "")


def run_demo(options: DemoOptions) -> None:
    """Runs the comparison and writes `results/`, `leaderboard.md` and `rate_accuracy.png` below `options.out`.

    Raises:
        ConfigError: the folder holds results already, or options that do not go together.
        SpicError: whatever stops a part; curves measured before it are kept.
    """
    suite = load_suite(resolve_config(f"suites/{options.suite_name()}.yaml"))
    if (options.out / "results").exists():
        raise ConfigError(f"{options.out} holds results already; choose another --out.")
    Demo(options, suite).run()


class Demo:
    """One comparison in one folder; a curve is saved as soon as it is whole."""

    def __init__(self, options: DemoOptions, suite: Suite) -> None:
        self.options, self.suite, self.out = options, suite, options.out
        self.results: list[ResultFile] = []
        self.started = time.monotonic()
        self.folder = None if options.data is None else _checked_folder(options.data)
        self.weights = self.out / "points" / "original" / "checkpoint.pt"
        if options.network is not None:
            self.weights = options.network.expanduser().resolve()

    def run(self) -> None:
        """Measures everything and writes table and plot."""
        original = self._original()
        built = build_config(self.out / "points" / "original" / "config.yaml", torch.device(self.options.device))
        load_weights(built.model, self.weights)
        self._label(original, built)
        for codec, qualities in self.suite.codecs.items():
            self._codec(codec, qualities, original, built)
        for method in self.suite.methods:
            self._method(method)
        markdown = write_atomic(self.out / "leaderboard.md", render_markdown(self.results))
        picture = plot_rate_accuracy(self.results, self.out / "rate_accuracy.png")
        for table in render_console(self.results, width=console.width):
            console.print(table)
        console.print(f"{self._seconds():.0f} s in all: {markdown}, {picture}", highlight=False)

    def _seconds(self) -> float:
        return time.monotonic() - self.started

    def _add(self, name: str, description: str, points: list[tuple[Point, Evaluation]], meta: Meta) -> None:
        """Saves one curve with its per-image tables and says what it is."""
        result = ResultFile(name, description, [point for point, _ in points], meta)
        path = result.save(self.out / "results" / f"{name}.json")
        for point, evaluation in points:
            write_per_image_csv(per_image_csv_path(path, point.unit), evaluation.rows())
        self.results.append(result)
        shown = ", ".join(
            f"{point.accuracy:.1f} %" + ("" if point.payload_bytes is None else f" at {point.payload_bytes:.0f} B")
            for point in result.points
        )
        console.print(f"{self._seconds():4.0f} s  {name}: {shown}", highlight=False, soft_wrap=True)

    def _values(self, network_path: str) -> dict[str, Any]:
        """Returns what every config gets: the suite's shared values, the folder, its classes, the architecture."""
        values = dict(self.suite.shared)
        if self.folder is not None:
            classes = sum(entry.is_dir() for entry in (self.folder / "train").iterdir())
            values["datasets.imagenette/train._root"] = str(self.folder)
            values["result.dataset"] = self.folder.name
            values[f"{network_path}.kwargs.num_classes"] = classes
            if self.options.network is None and self.suite.network.architecture is not None:
                values[f"{network_path}.key"] = self.suite.network.architecture
        return values

    def _epochs(self, planned: int) -> int:
        """Returns the planned epochs, or for a folder of few images as many as the suite's least steps take."""
        if self.folder is None:
            return planned
        images = sum(path.suffix.lower() in IMAGE_EXTENSIONS for path in (self.folder / "train").rglob("*"))
        steps = max(1, round(images * (1 - HELD_OUT)) // BATCH)
        return max(planned, math.ceil(self.suite.minimum_steps / steps))

    def _run(self, config: str, name: str, values: Mapping[str, Any], **options: Any) -> Measured:
        run = RunOptions(precision=self.suite.precision, device=self.options.device, overrides=values, **options)
        return run_config(config, self.out / "points" / name, run)

    def _original(self) -> Measured:
        """Trains the original network, or measures the one that was given."""
        plan = self.suite.network
        values = {**self._values("models.model"), **plan.values}
        if self.options.network is None:
            original = self._run(plan.config, "original", values)
        else:
            original = self._run(plan.config, "original", values, test_only=True, checkpoint=self.weights)
        self._add("original", "the original network", [(original.point, original.evaluation)], original.meta)
        return original

    def _label(self, original: Measured, built: BuiltConfig) -> None:
        """Adds the row of a device that runs the whole network and sends the label in whole bytes."""
        classes = len(_report_images(built).classes)
        size = math.ceil(math.log2(max(classes, 2)) / 8)
        evaluation = original.evaluation
        sizes = [ImageSizes(size, size, 0, evaluation.pixels)] * len(evaluation.images)
        bpp = size * 8 / evaluation.pixels
        point = dataclasses.replace(original.point, unit="label", bpp=bpp, payload_bytes=size, code_bytes=size)
        self._add(
            "label",
            "the whole network on the device, the label sent",
            [(point, dataclasses.replace(evaluation, sizes=sizes))],
            dataclasses.replace(original.meta, method="label"),
        )

    def _codec(self, codec: str, qualities: list[int], original: Measured, built: BuiltConfig) -> None:
        """Measures an image codec on the input, through sc2bench's wrapper."""
        reason = unavailable_reason(codec)
        if reason is not None:
            console.print(f"        {codec} is skipped: {reason}", highlight=False)
            return
        points = []
        for quality in qualities:
            coded = CodecPoint(codec, quality)
            with reporter(f"{codec} {coded.name}") as progress:
                evaluation = _evaluate_codec(coded, built, original.evaluation, progress.step)
            points.append((evaluation.point(coded.name, config_sha256=coded.sha256), evaluation))
        meta = dataclasses.replace(original.meta, method=codec)
        self._add(codec, f"{codec} on the input image", points, meta)

    def _method(self, method: MethodPlan) -> None:
        """Trains and measures the points of one curve."""
        points, meta = [], None
        for name, values in method.points.items():
            own = {
                **self._values(method.network_path),
                **method.values,
                **values,
                f"{method.network_path}.src_ckpt": str(self.weights),
                "result.method": method.method,
                "result.unit": name,
                "models.model.experiment"
                if method.network_path.startswith("models.model")
                else ("models.student_model.experiment"): f"{method.name}-{name}",
            }
            own[EPOCHS] = self.options.epochs or self._epochs(own.get(EPOCHS, 1))
            measured = self._run(method.config, f"{method.name}/{name}", own)
            points.append((measured.point, measured.evaluation))
            meta = measured.meta
        assert meta is not None  # a suite's methods have points
        self._add(method.name, method.description or method.name, points, meta)


def _checked_folder(data: Path) -> Path:
    """Returns the folder, which must have `train` and `val` folders of classes.

    Raises:
        DataError: it has not.
    """
    folder = data.expanduser().resolve()
    for part in ("train", "val"):
        if not (folder / part).is_dir():
            raise DataError(f"{folder} has no `{part}` folder; --data takes a folder with train/CLASS and val/CLASS.")
    return folder


def _report_images(built: BuiltConfig) -> Any:
    return built.datasets[built.config["test"]["test_data_loader"]["dataset_id"]]


def _evaluate_codec(coded: CodecPoint, built: BuiltConfig, original: Evaluation, report: Any) -> Evaluation:
    """Codes the prepared images of the report set and classifies what was decoded."""
    from sc2bench.models.wrapper import CodecInputCompressionClassifier
    from torchvision.transforms import Compose, ToTensor

    dataset = _report_images(built)
    steps = dataset.transform.transforms
    cut = next(index for index, step in enumerate(steps) if isinstance(step, ToTensor))
    model = CodecInputCompressionClassifier(
        built.model, built.device, codec_encoder_decoder=coded.transmit, post_transform=Compose(steps[cut:])
    )
    whole, total = dataset.transform, len(dataset)
    dataset.transform = Compose(steps[:cut])
    try:
        batches = (([image], torch.tensor([label])) for image, label in (dataset[index] for index in range(total)))
        side = round(math.sqrt(original.pixels))
        pixels = (side, original.pixels // side)
        return evaluate(
            model, batches, original.images, pixels, built.device, lambda done: report("images", done, total)
        )
    finally:
        dataset.transform = whole
