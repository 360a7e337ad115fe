"""The jobs of a suite: what each trains, and what is refused before anything runs."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from bench_parts import HIGH, LOW, SPIC, WEIGHT, FakeRunner, make_jobs, make_suite, no_waiting, run

from sc2_spic_plugin.cli.bench.estimate import Estimates, shares_text, time_spent
from sc2_spic_plugin.cli.bench.plan import choose
from sc2_spic_plugin.cli.bench.show import plan_shares, plan_total
from sc2_spic_plugin.cli.bench.status import Status
from sc2_spic_plugin.cli.bench.verdict import KEEP, TRAIN, Verdict
from sc2_spic_plugin.cli.verifying import VerifyOptions, _check_options
from sc2_spic_plugin.configs.plain import load_plain
from sc2_spic_plugin.errors import CheckpointError, ConfigError, SpicError

__all__ = ["no_waiting"]  # a fixture

SWEPT = {"method": "spic_l1", "sweep": "imagenette/sweep_supervised.yaml"}


def test_every_point_and_seed_is_a_job_that_trains_behind_the_suites_network(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, methods=[{**SPIC, "seeds": [0, 3]}])
    names = ["low", "low-seed3", "high", "high-seed3"]
    assert [job.name for job in jobs[:3]] == ["original", "label/row", "jpeg/q5"]
    assert [job.name for job in jobs[3:]] == [f"spic_l1-supervised/{name}" for name in names]
    weights = str(tmp_path / "out" / "points" / "original" / "checkpoint.pt")
    for job, weight in zip(jobs[3:], (8.0, 8.0, 1.0, 1.0), strict=True):
        config = load_plain(job.text)
        assert config["models"]["model"]["kwargs"]["network"]["src_ckpt"] == weights
        assert config["train"]["stage1"]["criterion"]["kwargs"]["sub_terms"]["rate"]["weight"] == weight
        assert (config["result"]["method"], config["result"]["unit"]) == ("spic_l1", job.name[19:].partition("-")[0])
        assert job.needs == ("original",) and ["--seed", str(job.seed)] == job.arguments("train")[4:6]
    assert jobs[0].arguments("train")[-2:] == ["--protocol", "synthetic-64"]
    assert all("--no-costs" in jobs[index].arguments("train") for index in (0, 3)), "others may be running"
    assert jobs[3].arguments("resume")[-1] == "--resume" and jobs[3].arguments("measure")[-1] == "--test-only"


def test_given_weights_are_measured_and_nothing_waits_for_them(tmp_path: Path) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"")
    jobs = {job.name: job for job in make_jobs(tmp_path, weights)}
    assert jobs["original"].arguments("train")[-3:] == ["--test-only", "--checkpoint", str(weights)]
    assert jobs["spic_l1-supervised/low"].needs == () and jobs["label/row"].needs == ("original",)
    with pytest.raises(CheckpointError, match=r"no weights of the original network at .*nowhere\.pt"):
        make_jobs(tmp_path, network={"config": "smoke/network.yaml", "weights": str(tmp_path / "nowhere.pt")})


def test_a_bank_is_one_job_whose_points_are_called_as_its_units(tmp_path: Path) -> None:
    units = {"u0": {"latent_channels": 4, "stride": 2, "step": 1.0}}
    bank = {**SPIC, "points": None, "curve": "bank", "values": {"models.model.kwargs.units": units}}
    job = make_jobs(tmp_path, methods=[bank])[-1]
    assert job.name == "bank/all" and "unit" not in load_plain(job.text)["result"]


def test_each_split_of_a_sweep_is_a_curve(tmp_path: Path) -> None:
    splits = {"estimator": "l1", "cut": ["layer4.0", "layer3.4"], "weight": [6.0, 30.0]}
    jobs = make_jobs(tmp_path, methods=[{**SWEPT, "filter": splits}], codecs={})
    points = {job.curve: [load_plain(job.text)["models"]["model"]["kwargs"]["cut"]] for job in jobs[2:]}
    assert points == {"spic_l1-layer4.0": ["layer4.0"], "spic_l1-layer3.4": ["layer3.4"]} and len(jobs) == 6
    (one,) = {
        job.curve for job in make_jobs(tmp_path, methods=[{**SWEPT, "filter": {**splits, "cut": "layer3.4"}}])[3:]
    }
    assert one == "spic_l1"


def test_what_trains_nothing_is_measured(tmp_path: Path) -> None:
    codec = {"method": "jpeg_feature", "config": "camvid/codec.yaml", "network_path": "models.model.kwargs"}
    job = make_jobs(tmp_path, methods=[codec], codecs={})[-1]
    assert not job.trains and job.arguments("train")[-1] == "--test-only"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": [{**SPIC, "method": "spic_l2"}]}, r"unknown method `spic_l2`\. Did you mean `spic_l1`"),
        ({"protocol": "synthetic-65"}, r"no protocol named `synthetic-65`\. Did you mean `synthetic-64`"),
        ({"network": {"config": "smoke/netwrok.yaml"}}, r"Did you mean `smoke/network\.yaml`"),
        ({"methods": [{**SPIC, "values": {"train.stage2.x": 1}}]}, r"no `train\.stage2` .*`stage1`"),
        ({"codecs": {"jpg": [5]}}, r"Unknown codec `jpg`\. Did you mean `jpeg`"),
        ({"codecs": {"jpeg": [500]}}, "whole quality from 0 to 100"),
        ({"codecs": {"jpeg": [5, 5]}}, r"two points `jpeg/q5`"),
        (
            {"codecs": {"jpeg": {"qualities": [5], "variants": [{"subsampling": 411}]}}},
            "no choice of subsampling '411'",
        ),
        ({"references": ["labels"]}, r"unknown reference row `labels`\. Did you mean `label`"),
        ({"methods": [SWEPT]}, r"spic-supervised-layer4_2-static_table.* is of method `spic_static_table`"),
        ({"references": ["mask"]}, r"`mask` is for segmentation, protocol synthetic-64 for classification"),
        ({"precision": "fp16"}, "unknown precision"),
        ({"methods": [{**SPIC, "points": {"../x": {WEIGHT: 1.0}}}]}, "cannot name a folder"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpicError, match=message):
        make_jobs(tmp_path, **changes)
    assert not (tmp_path / "out").exists()


def test_an_own_method_says_so(tmp_path: Path) -> None:
    assert make_jobs(tmp_path, methods=[{**SPIC, "method": "mine", "own": True}])[-1].curve == "mine-supervised"


@pytest.mark.usefixtures("no_waiting")
def test_a_codec_that_is_absent_is_skipped_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SC2_SPIC_BPGENC", str(tmp_path / "no-bpgenc"))
    jobs = make_jobs(tmp_path, codecs={"jpeg": [5], "bpg": [40]})
    finished = run(jobs, FakeRunner())
    assert list(finished.summary.skipped) == ["bpg/qp40"] and "bpgenc" in finished.summary.skipped["bpg/qp40"]
    assert not finished.summary.failed and not (tmp_path / "out" / "points" / "bpg").exists()


def test_only_chooses_curves_or_methods_and_what_they_need(tmp_path: Path) -> None:
    other = {**SPIC, "supervision": "unsupervised", "config": "smoke/spic_unsupervised.yaml"}
    jobs = make_jobs(tmp_path, methods=[SPIC, other])
    both = ["spic_l1-supervised", "spic_l1-unsupervised"]
    assert {job.curve for job in choose(jobs, ["spic_l1"])} == {"original", *both}
    assert {job.curve for job in choose(jobs, ["jpeg", both[0]])} == {"original", "jpeg", both[0]}
    assert choose(jobs, []) == jobs
    point = next(job.name for job in jobs if job.curve == both[0])
    assert [job.name for job in choose(jobs, [point])] == ["original", point]
    with pytest.raises(ConfigError, match=r"has no point `jpeg/q6`\. Did you mean `jpeg/q5`"):
        choose(jobs, ["jpeg/q6"])
    with pytest.raises(ConfigError, match=r"no method `jpg`\. Did you mean `jpeg`"):
        choose(jobs, ["jpg"])


def test_an_estimate_is_measured_or_unknown(tmp_path: Path) -> None:
    suite = make_suite(tmp_path, durations={"jpeg": 30})
    jobs = make_jobs(tmp_path, methods=[{**SPIC, "seeds": [0, 1]}], durations={"jpeg": 30})
    status = Status(tmp_path / "out", "small")
    estimates = Estimates(suite, jobs, status)
    by_name = {job.name: job for job in jobs}
    low, low_again, high = (by_name[f"spic_l1-supervised/{name}"] for name in ("low", "low-seed1", "high"))
    assert estimates.of(by_name["jpeg/q5"]) == (30.0, "suite") and estimates.of(low) == (None, "")
    status.set(high.name, state="done", seconds=40.0)
    assert estimates.of(low) == (40.0, "1 done")
    status.set(low_again.name, state="failed", seconds=7.0)
    assert estimates.of(low) == (40.0, "1 done")
    status.set(low_again.name, state="done", seconds=100.0)
    assert estimates.of(low) == (100.0, "1 done")  # the same point with another seed
    verdicts = {job.name: Verdict(TRAIN) for job in jobs} | {high.name: Verdict(KEEP)}
    text = plan_total([low, high, by_name["label/row"]], verdicts, estimates, 2)
    assert text == "2 jobs to run, 2 at a time: about 50 s and 1 job of unknown duration; 1 done"


def test_the_time_that_is_left_counts_what_running_jobs_have_had(tmp_path: Path) -> None:
    durations = {"jpeg": 30, "spic_l1-supervised": 100}
    jobs = make_jobs(tmp_path, durations=durations)
    estimates = Estimates(make_suite(tmp_path, durations=durations), jobs, Status(tmp_path, "small"))
    original, label, jpeg, low, high = jobs
    running = [(jpeg, 20.0), (low, 130.0), (label, 50.0)]
    assert estimates.total([*running, (high, 0.0)], 2) == ((10 + 0 + 100) / 2, 1)
    assert str(estimates.total([(high, 0.0)], 1)) == "about 2 min" and estimates.of(original).seconds is None


def test_measuring_a_checkpoint_tells_nothing_of_training_nor_the_other_way_round(tmp_path: Path) -> None:
    durations = {"spic_l1-supervised": 300}
    suite, jobs = make_suite(tmp_path, durations=durations), make_jobs(tmp_path, durations=durations)
    status, (low, high) = Status(tmp_path / "out", "small"), jobs[-2:]
    status.set(low.name, state="done", seconds=20.0, mode="measure")
    assert Estimates(suite, jobs, status).of(high) == (300.0, "suite")
    measuring = Estimates(suite, jobs, status, [high.name])
    assert measuring.of(high) == (20.0, "1 done") and measuring.of(jobs[0]).seconds is None
    assert Estimates(suite, jobs, Status(tmp_path, "small"), [high.name]).of(high).seconds is None


def test_the_time_is_shared_among_the_methods(tmp_path: Path) -> None:
    jobs = make_jobs(tmp_path, methods=[{**SPIC, "seeds": [0, 1]}])
    status = Status(tmp_path / "out", "small")
    assert shares_text(time_spent(jobs, status)) == ""
    for job, seconds in zip(jobs, (30.0, 10.0, 60.0, 200.0, 300.0, 400.0, 500.0), strict=True):
        status.set(job.name, state="failed" if job.name == LOW else "done", seconds=seconds)
    status.set_costs(jobs[2].name, state="done", seconds=20.0)
    assert shares_text(time_spent(jobs, status)) == "22 min: spic_l1 91 %, jpeg 6 %, original 2 %, label 1 %"
    verdicts = {job.name: Verdict(TRAIN) for job in jobs} | {jobs[2].name: Verdict(KEEP)}
    text = plan_shares(jobs[1:], verdicts, Estimates(make_suite(tmp_path), jobs, status))
    assert text.startswith("25 min: spic_l1 99 %, label 1 %")
    many = [(dataclasses.replace(jobs[0], method=f"m{index}"), 10.0 - index) for index in range(8)]
    assert shares_text(many).endswith("m5 10 %, 2 more 13 %")


KEPT = {**SPIC, "method": "spic_scale_hyperprior", "curve": "kept", "checkpoints_of": "spic_l1-supervised"}


def test_a_curve_may_measure_what_another_trained_point_by_point_and_seed_by_seed(tmp_path: Path) -> None:
    seeded = [{**method, "seeds": [0, 1]} for method in (SPIC, KEPT)]
    jobs = {job.name: job for job in make_jobs(tmp_path, methods=seeded)}
    for name in ("low", "high-seed1"):
        lender, kept = jobs[f"spic_l1-supervised/{name}"], jobs[f"kept/{name}"]
        assert kept.needs[-1] == lender.name and not kept.trains
        assert kept.given_checkpoint == lender.folder / "checkpoint.pt"
        arguments = kept.arguments("train")
        assert arguments[arguments.index("--checkpoint") + 1] == str(kept.given_checkpoint)
        assert "--test-only" in arguments


def test_a_point_of_anothers_checkpoint_is_verified_from_that_checkpoint_alone(tmp_path: Path) -> None:
    job = make_jobs(tmp_path, methods=[SPIC, KEPT])[-1]
    for given, message in (
        ({}, f"from a checkpoint that `{HIGH}` trained; pass that with --checkpoint"),
        ({"units": tmp_path}, "pass that with --checkpoint"),
        ({"out": tmp_path}, "nothing is trained for `kept/high`, it is measured again: leave --out out"),
    ):
        with pytest.raises(ConfigError, match=message):
            _check_options(job, job.name, VerifyOptions("suite", **given))
    _check_options(job, job.name, VerifyOptions("suite", checkpoint=tmp_path / "checkpoint.pt"))


def test_a_checkpoint_that_no_job_makes_is_refused(tmp_path: Path) -> None:
    for lender in ("spic_l1-supervise", "jpeg", "kept"):
        with pytest.raises(ConfigError, match=f"measures the checkpoint of `{lender}/low`, which the suite does not"):
            make_jobs(tmp_path, methods=[SPIC, {**KEPT, "checkpoints_of": lender}])
