"""Made-up but plausible results, shared by the leaderboard's tests."""

from collections.abc import Callable

import pytest

from sc2_spic_plugin.leaderboard import Meta, Point, ResultFile

PIXELS = 160 * 160
Maker = Callable[..., ResultFile]


def _points(rates: list[tuple[float | None, float]], method: str) -> list[Point]:
    return [
        Point(
            unit=f"u{number}",
            bpp=None if size is None else size * 8 / PIXELS,
            top1=top1,
            confidence_low=top1 - 1.1,
            confidence_high=top1 + 1.0,
            payload_bytes=size,
            code_bytes=None if size is None else max(0.0, size - 1),
            harness_kilobytes=None if size is None else (size + 104) / 1024,
            encoder_kilobytes=None if method == "original" else 29116.0,
            config_sha256=f"{number:064x}",
            seed=0,
        )
        for number, (size, top1) in enumerate(rates)
    ]


@pytest.fixture
def make_result() -> Maker:
    def make(method: str = "spic", rates: list[tuple[float | None, float]] | None = None, **meta: object) -> ResultFile:
        values = {
            "task": "classification",
            "dataset": "Imagenette",
            "protocol": "imagenette-160",
            "network": "resnet50",
            "network_sha256": "ab" * 32,
            "method": method,
            "samples": 3925,
            "code_version": "0.1.0+gabc",
            "versions": {"torch": "2"},
            "date": "2025-01-01T00:00:00+00:00",
        } | meta
        points = _points(rates or [(24.0, 82.0), (60.0, 85.2), (140.0, 86.6)], method)
        return ResultFile(method, f"{method}, for a test", points, Meta(**values))

    return make


@pytest.fixture
def board(make_result: Maker) -> list[ResultFile]:
    split = {"cut": "layer3.4"}
    return [
        make_result("original", [(None, 87.5)]),
        make_result("label", [(2.0, 87.5)]),
        make_result("spic", supervision="supervised", **split),
        make_result("spic", [(23.0, 80.0), (55.0, 84.0), (150.0, 86.9)], supervision="unsupervised", **split),
        make_result("spic_l1", [(69.0, 84.8), (146.0, 85.6), (198.0, 85.8)], supervision="supervised", **split),
        make_result("spic_mean_scale_hyperprior", [(90.0, 82.0), (145.0, 85.0)], supervision="supervised", **split),
        make_result("entropic_student", [(260.0, 81.0), (700.0, 85.0), (1500.0, 86.5)], supervision="unsupervised"),
        make_result("jpeg", [(902.0, 74.3), (1545.0, 83.7), (2973.0, 86.5), (4105.0, 87.5)]),
        make_result("webp", [(1110.0, 79.5), (2134.0, 85.6), (3225.0, 87.5)]),
        make_result("heic", [(1113.0, 77.7), (2307.0, 86.0), (5577.0, 88.3)]),
    ]
