"""One comparison in one folder: the original network, references, codecs and methods, a table and a plot."""

import dataclasses
import math
import time
from collections.abc import Mapping
from typing import Any

import torch

from ...analyzers import ImageSizes
from ...configs import resolve_config
from ...configs.suite import MethodPlan, Suite, load_suite
from ...errors import ConfigError
from ...leaderboard import (
    CodecPoint,
    Meta,
    Point,
    ResultFile,
    load_protocol,
    per_image_csv_path,
    plot_rate_accuracy,
    render_console,
    render_markdown,
    unavailable_reason,
    write_per_image_csv,
)
from ...leaderboard.evaluate import Evaluation, build_metric, evaluate
from ...leaderboard.styles import LABEL_METHOD, MASK_METHOD
from ...models.network import load_weights
from ...ops import write_atomic
from ...training.build import BuiltConfig, build_config
from ..preparing import build_loader
from ..progress import console, reporter
from ..running import Measured, RunOptions, run_config
from .images import ClassFolder, DemoImages
from .input_codec import coded_images, coding_model
from .options import DemoOptions
from .pair_folder import PairFolderImages
from .sent_mask import MaskSender

__all__ = ["Demo", "run_demo"]

EPOCHS = "train.stage1.num_epochs"


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
        self.images = DemoImages()
        if options.data is not None:
            self.images = {"classification": ClassFolder, "segmentation": PairFolderImages}[options.task](options.data)
        self.protocol = self.images.protocol(self.out)
        self.weights = self.out / "points" / "original" / "checkpoint.pt"
        if options.network is not None:
            self.weights = options.network.expanduser().resolve()

    def run(self) -> None:
        """Measures everything and writes table and plot."""
        original = self._original()
        built = build_config(
            self.out / "points" / "original" / "config.yaml", torch.device(self.options.device), self.options.task
        )
        load_weights(built.model, self.weights)
        if self.options.task == "classification":
            self._label(original, built)
        else:
            self._mask(original, built)
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
        """Returns what every config gets: the suite's shared values, the architecture, and what the images say."""
        values, plan = dict(self.suite.shared), self.suite.network
        if self.options.data is not None and self.options.network is None:
            if plan.architecture is not None:
                values[f"{network_path}.key"] = plan.architecture
            if plan.kwargs:
                values[f"{network_path}.kwargs"] = dict(plan.kwargs)
        return values | self.images.values(network_path)

    def _run(self, config: str, name: str, values: Mapping[str, Any], **options: Any) -> Measured:
        run = RunOptions(
            precision=self.suite.precision,
            device=self.options.device,
            protocol=self.protocol,
            overrides=values,
            **options,
        )
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
            LABEL_METHOD,
            "the whole network on the device, the label sent",
            [(point, dataclasses.replace(evaluation, sizes=sizes))],
            dataclasses.replace(original.meta, method=LABEL_METHOD),
        )

    def _mask(self, original: Measured, built: BuiltConfig) -> None:
        """Adds the row of a device that runs the whole network and sends the predicted mask as a PNG."""
        loader = build_loader(built, built.config["test"]["test_data_loader"])
        evaluation = self._evaluate("mask", MaskSender(built.model), loader, original, built)
        point = evaluation.point("mask", checkpoint_sha256=original.point.checkpoint_sha256)
        self._add(
            MASK_METHOD,
            "the whole network on the device, the predicted mask sent as PNG",
            [(point, evaluation)],
            dataclasses.replace(original.meta, method=MASK_METHOD),
        )

    def _evaluate(self, title: str, model: Any, batches: Any, original: Measured, built: BuiltConfig) -> Evaluation:
        """Measures a model on the images of the original's result, under its protocol."""
        protocol = load_protocol(self.protocol or original.meta.protocol)
        ids, pixels = original.evaluation.images, protocol.denominator
        with reporter(title) as progress:
            return evaluate(
                model,
                batches,
                ids,
                None if isinstance(pixels, str) else pixels,
                built.device,
                lambda done: progress.step("images", done, len(ids)),
                build_metric(protocol, list(_report_images(built).classes)),
            )

    def _codec(self, codec: str, qualities: list[int], original: Measured, built: BuiltConfig) -> None:
        """Measures an image codec on the input, through sc2bench's wrapper."""
        reason = unavailable_reason(codec)
        if reason is not None:
            console.print(f"        {codec} is skipped: {reason}", highlight=False)
            return
        points = []
        for quality in qualities:
            coded, dataset = CodecPoint(codec, quality), _report_images(built)
            model, batches = coding_model(coded, built, dataset), coded_images(built, dataset)
            evaluation = self._evaluate(f"{codec} {coded.name}", model, batches, original, built)
            points.append((evaluation.point(coded.name, config_sha256=coded.sha256), evaluation))
        meta = dataclasses.replace(original.meta, method=codec)
        self._add(codec, f"{codec} on the input image", points, meta)

    def _method(self, method: MethodPlan) -> None:
        """Trains and measures the points of one curve."""
        points, meta = [], None
        model = "models.model" if method.network_path.startswith("models.model") else "models.student_model"
        for name, values in method.points.items():
            own = {
                **self._values(method.network_path),
                **method.values,
                **values,
                f"{method.network_path}.src_ckpt": str(self.weights),
                "result.method": method.method,
                "result.unit": name,
                f"{model}.experiment": f"{method.name}-{name}",
            }
            planned = self.images.epochs(own.get(EPOCHS, 1), self.suite.minimum_steps)
            own[EPOCHS] = self.options.epochs or planned
            measured = self._run(method.config, f"{method.name}/{name}", own)
            points.append((measured.point, measured.evaluation))
            meta = measured.meta
        assert meta is not None  # a suite's methods have points
        self._add(method.name, method.description or method.name, points, meta)


def _report_images(built: BuiltConfig) -> Any:
    return built.datasets[built.config["test"]["test_data_loader"]["dataset_id"]]
