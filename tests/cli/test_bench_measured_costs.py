"""Costs of finished points, really measured: which side works, and what else of a result stays as it was."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bench_parts import SMALL, SPIC, make_jobs, weights
from tiny_segmenter import TinyPairs, make_host_segmenter

from sc2_spic_plugin.cli.bench.cost_columns import COST_FIELDS, without_costs
from sc2_spic_plugin.cli.bench.in_process import InProcess
from sc2_spic_plugin.cli.bench.job import COSTS, Job
from sc2_spic_plugin.cli.bench.job_costs import measure_job_costs
from sc2_spic_plugin.cli.bench.row import measure_row
from sc2_spic_plugin.cli.bench.row_costs import row_costs
from sc2_spic_plugin.errors import CheckpointError
from sc2_spic_plugin.leaderboard import Point, ResultFile, load_protocol

__all__ = ["weights"]  # a fixture

UNIT = {"latent_channels": 4, "stride": 2, "step": 1.0, "rate_weight": 1.0}
BANK = {
    **SPIC,
    "points": None,
    "values": {
        "train.stage1.num_epochs": 1,
        "models.model.kwargs.unit": None,
        "models.model.kwargs.units": {"low": UNIT, "high": {**UNIT, "latent_channels": 8}},
    },
}


def load(job: Job) -> ResultFile:
    return ResultFile.load(job.folder / "result.json")


def bare(result: ResultFile) -> ResultFile:
    """What a result says beside costs."""
    return dataclasses.replace(result, points=[without_costs(point) for point in result.points])


def run_here(job: Job, mode: str = "train") -> None:
    job.prepare()
    ended = InProcess().start(job, mode).poll()
    assert ended is not None and ended.error is None, ended


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> list[Job]:
    """The original network measured; everything else is prepared."""
    jobs = make_jobs(tmp_path_factory.mktemp("suite"), weights, shared=SMALL, methods=[BANK])
    for job in jobs[1:]:
        job.prepare()
    run_here(jobs[0], "measure")
    return jobs


def test_with_a_codec_the_server_does_all_operations_and_with_the_label_the_device(jobs: list[Job]) -> None:
    found: dict[str, Point] = {}
    for name in ("jpeg/q5", "label/row"):
        job = next(each for each in jobs if each.name == name)
        measure_row(job.folder)
        before = load(job)
        assert all(getattr(before.points[0], field) is None for field in COST_FIELDS)
        measure_job_costs(job.folder)
        assert bare(load(job)) == before, "rate, accuracy and provenance are those of the first run"
        (found[name],) = load(job).points
        assert found[name].extra["timing_threads"] == 2 and found[name].extra["timing_date"]
    jpeg, label, original = found["jpeg/q5"], found["label/row"], load(jobs[0]).points[0]
    assert (jpeg.encoder_kilobytes, jpeg.encoder_macs) == (0, 0)
    assert jpeg.extra["server_macs"] == original.extra["server_macs"] == label.encoder_macs
    assert jpeg.encode_ms > 0 and jpeg.decode_ms > 0 and jpeg.extra["encode_coding_ms"] > 0
    assert label.encoder_kilobytes > 0 and label.extra["server_macs"] == 0
    assert label.encode_ms > 0 and label.decode_ms == 0


def test_nothing_is_timed_twice_unless_it_was_asked_for(jobs: list[Job]) -> None:
    original = jobs[0]
    before = load(original)
    run_here(original, COSTS)
    assert load(original) == before
    (original.folder / "redo_costs").write_text("9999-01-01T00:00:00.000+00:00")
    run_here(original, COSTS)
    after = load(original)
    assert bare(after) == bare(before)
    assert "timing_date" in after.points[0].extra and "timing_date" not in before.points[0].extra


def test_each_unit_of_a_bank_gets_its_own_costs_from_the_checkpoint_that_was_measured(jobs: list[Job]) -> None:
    bank = jobs[-1]
    run_here(bank)
    whole = load(bank)
    kept = [point if point.unit == "low" else without_costs(point) for point in whole.points]
    dataclasses.replace(whole, points=kept).save(bank.folder / "result.json", overwrite=True)
    config = (bank.folder / "config.yaml").read_bytes()
    measure_job_costs(bank.folder)
    before, after = ({point.unit: point for point in result.points} for result in (whole, load(bank)))
    assert after["low"] == before["low"] and "timing_date" in after["high"].extra
    assert after["high"].encoder_macs == before["high"].encoder_macs > after["low"].encoder_macs
    assert after["high"].encoder_kilobytes == before["high"].encoder_kilobytes
    assert after["high"].encode_ms > 0 and after["high"].decode_ms > 0 and bare(load(bank)) == bare(whole)
    assert (bank.folder / "config.yaml").read_bytes() == config, "its digest is in the result"
    bare(whole).save(bank.folder / "result.json", overwrite=True)
    checkpoint = bank.folder / "checkpoint.pt"
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(b"another")
    with pytest.raises(CheckpointError, match="is not the checkpoint that was measured: nothing can be timed"):
        measure_job_costs(bank.folder)
    checkpoint.unlink()
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt was deleted"):
        measure_job_costs(bank.folder)
    assert load(bank) == bare(whole)
    checkpoint.write_bytes(content)


def test_a_row_in_process_is_measured_with_its_costs(jobs: list[Job]) -> None:
    job = next(each for each in jobs if each.name == "jpeg/q5")
    run_here(job)
    assert all(getattr(load(job).points[0], field) is not None for field in COST_FIELDS)
    assert "timing_date" not in load(job).points[0].extra


def test_a_mask_is_made_on_the_device_alone() -> None:
    protocol = dataclasses.replace(load_protocol("synthetic-scenes"), denominator="image")
    network = make_host_segmenter(compresses=False).eval()
    built = SimpleNamespace(datasets={protocol.report: TinyPairs()}, model=network, device=torch.device("cpu"))
    opened: Any = SimpleNamespace(built=built, protocol=protocol)
    costs = row_costs(opened, {"method": "mask"})
    assert costs.server_macs == 0 and costs.encoder_macs > 0 and costs.encoder_kilobytes > 0
    assert costs.latency is not None and costs.latency.encode_ms > 0 and costs.latency.decode_ms == 0
