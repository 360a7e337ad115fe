"""Made-up results on disk: seeds, sizes, times and per-image tables, for tests of what reads result files."""

from pathlib import Path

import numpy as np

from sc2_spic_plugin.leaderboard import Meta, Point, ResultFile, write_per_image_csv

IMAGES = 200
PIXELS = 64 * 64
Rates = dict[str, tuple[float, float]]


def made_up_result(
    folder: Path,
    method: str,
    rates: Rates,
    seeds: tuple[int, ...] = (0,),
    encoder: tuple[float, float, float] | None = None,
    per_image: bool = True,
    name: str | None = None,
    factor: int = 1,
    **meta: object,
) -> Path:
    """Writes one result file with its per-image tables; every mean follows from the tables.

    Args:
        folder: where.
        method: key of the method.
        rates: (bytes, percent) that the images are drawn around, by unit; 0 bytes: nothing is sent.
        seeds: training seeds.
        encoder: kilobytes, encode and decode milliseconds.
        per_image: write the tables too.
        name: of the result; the method by default.
        factor: every payload is that many times as large, nothing else changes.
        **meta: provenance other than the usual.
    """
    name = name or method
    path = folder / f"{name}.json"
    points, tables = [], {}
    difficulty = np.random.default_rng(0).random(IMAGES)
    for index, (unit, (size, percent)) in enumerate(rates.items()):
        for seed in seeds:
            generator = np.random.default_rng([index, seed])
            payloads = np.zeros(IMAGES, dtype=int)
            if size:
                payloads = factor * np.maximum(1, generator.normal(size, 0.15 * size, IMAGES)).astype(int)
            right = difficulty + generator.normal(0, 0.05, IMAGES) < percent / 100
            share, mean = 100 * float(right.mean()), float(payloads.mean())
            suffix = f"{unit}.seed{seed}" if len(seeds) > 1 else unit
            tables[suffix] = [(f"{i:04d}.png", int(payloads[i]), bool(right[i])) for i in range(IMAGES)]
            points.append(
                Point(
                    unit=unit,
                    bpp=mean * 8 / PIXELS if size else None,
                    top1=share,
                    confidence_low=max(0.0, share - 4),
                    confidence_high=min(100.0, share + 4),
                    payload_bytes=mean if size else None,
                    code_bytes=mean - 1 if size else None,
                    harness_kilobytes=(mean + 104) / 1024 if size else None,
                    encoder_kilobytes=encoder[0] if encoder else None,
                    encoder_macs=encoder[0] * 1e4 if encoder else None,
                    encode_ms=encoder[1] if encoder else None,
                    decode_ms=encoder[2] if encoder else None,
                    config_sha256=f"{index + 1:064x}",
                    seed=seed,
                )
            )
    values = {
        "task": "classification",
        "dataset": "made-up",
        "protocol": "made-up-64",
        "network": "tiny",
        "network_sha256": "ab" * 32,
        "method": method,
        "samples": IMAGES,
        "code_version": "0.1.0+gabc",
        "versions": {"torch": "2"},
        "environment": {"cpu_count": 2},
        "date": "2025-01-01T00:00:00+00:00",
    } | meta
    ResultFile(name, f"{method}, made up", points, Meta(**values)).save(path)
    if per_image:
        for suffix, rows in tables.items():
            write_per_image_csv(path.with_name(f"{path.stem}.{suffix}.csv"), rows)
    return path


def made_up_board(folder: Path) -> Path:
    """Writes results of six methods, one of them with three seeds, and one result under another protocol."""
    made_up_result(folder, "original", {"network": (0, 90)})
    made_up_result(folder, "label", {"label": (1, 90)}, encoder=(95000, 60, 0.1))
    split = {"cut": "layer3", "supervision": "supervised"}
    table = {"low": (20.0, 80.0), "mid": (45.0, 86.0), "bad": (60.0, 84.0), "high": (120.0, 89.0)}
    made_up_result(folder, "spic_static_table", table, seeds=(0, 1, 2), encoder=(29000, 30, 9), **split)
    free = {"cut": "layer3", "supervision": "unsupervised"}
    rates = {"low": (24.0, 80.0), "mid": (50.0, 85.0), "high": (140.0, 88.5)}
    made_up_result(folder, "spic_static_table", rates, encoder=(29000, 30, 9), name="unsupervised", **free)
    rates = {"low": (40.0, 79.0), "mid": (80.0, 85.0), "high": (200.0, 88.0)}
    made_up_result(folder, "spic_l1", rates, encoder=(29000, 30, 9), **split)
    rates = {"low": (250.0, 82.0), "mid": (500.0, 86.0), "high": (900.0, 88.0)}
    made_up_result(folder, "entropic_student", rates, encoder=(540, 12, 20), supervision="supervised")
    rates = {"q5": (420.0, 60.0), "q10": (700.0, 80.0), "q30": (1400.0, 87.0), "q60": (2500.0, 90.0)}
    made_up_result(folder, "jpeg", rates, per_image=False)
    made_up_result(folder / "other", "jpeg", {"q5": (500.0, 61.0)}, name="other", protocol="made-up-128")
    return folder
