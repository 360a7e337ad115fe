"""The walk-through for a new method, taken from its page and run: code, config, suite, table, judgement."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from sc2_spic_plugin.cli.bench.in_process import InProcess
from sc2_spic_plugin.cli.bench.job import Job
from sc2_spic_plugin.cli.bench.plan import plan_jobs
from sc2_spic_plugin.cli.bench.status import Status
from sc2_spic_plugin.cli.bench.suite_run import Finished, run_suite
from sc2_spic_plugin.cli.main import app
from sc2_spic_plugin.configs.suite import load_suite
from sc2_spic_plugin.leaderboard import ResultFile
from sc2_spic_plugin.leaderboard.submission import check_submission

FILE = re.compile(r"^`(\S+)`:\n\n```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SMALL = {"images": 6, "report_images": 2, "epochs": 1}
CURVE = "zlib_bottleneck-unsupervised"


class Silent:
    def started(self, *_: object) -> None: ...

    def ended(self, *_: object) -> None: ...

    def waiting(self, *_: object) -> None: ...


class Walked(NamedTuple):
    folder: Path
    page: str
    jobs: list[Job]
    finished: Finished


@pytest.fixture(scope="module")
def walked(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    """The page's files in a folder of their own, and its suite run there, with few images."""
    page = (repository / "benchmarks" / "adding_a_method.md").read_text()
    folder = tmp_path_factory.mktemp("walk")
    for name, _, text in FILE.findall(page):
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        suite = load_suite(folder / "suite.yaml").with_values(SMALL)
        jobs = plan_jobs(suite, folder / "out")
        finished = run_suite(jobs, jobs, InProcess(), Status(jobs[0].settings.out, suite.name), Silent())
        yield Walked(folder, page, jobs, finished)
    sys.modules.pop("zlib_bottleneck", None)


def test_the_page_has_one_file_of_each_kind(walked: Walked) -> None:
    assert {path.name for path in walked.folder.iterdir() if path.is_file()} == {
        "zlib_bottleneck.py",
        "zlib_bottleneck.yaml",
        "suite.yaml",
    }


def test_the_commands_of_the_page_are_accepted(walked: Walked) -> None:
    """Those that take time or were run by the fixture are left to it; all others run as they stand."""
    lines = [line for block in COMMANDS.findall(walked.page) for line in block.strip().splitlines()]
    assert len(lines) == 5
    for line in lines:
        words = shlex.split(line)
        arguments = words[words.index("sc2-spic") + 1 :]
        if arguments[0] == "bench" and "--dry-run" not in arguments:
            continue
        done = CliRunner().invoke(app, arguments)
        if arguments[0] == "leaderboard":  # says no where the code has changes that are not committed
            assert "2 points of zlib_bottleneck" in done.stdout
        else:
            assert done.exit_code == 0, f"{line}: {done.output} {done.exception!r}"


def test_the_new_method_stands_in_the_table_of_its_suite(walked: Walked) -> None:
    assert not walked.finished.summary.failed and not walked.finished.problems
    table = (walked.folder / "out" / "leaderboard.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert table.count("## ") == 1, "one network, one table"
    for row in ("zlib bottleneck (unsupervised) | coarse", "zlib bottleneck (unsupervised) | fine", "JPEG | q5"):
        assert any(line.startswith(f"| {row}") for line in rows), rows


def test_its_bytes_are_real_and_fewer_levels_take_fewer(walked: Walked) -> None:
    import torch
    import zlib_bottleneck

    result = ResultFile.load(walked.folder / "out" / "results" / f"{CURVE}.json")
    sizes = {point.unit: point.payload_bytes for point in result.points}
    assert 0 < sizes["coarse"] < sizes["fine"] and result.meta.bits == "measured"
    bottleneck = zlib_bottleneck.ZlibBottleneck(channels=4, levels=3).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        sent = bottleneck.encode(images)
        assert len(sent["strings"][0]) == 2 and all(isinstance(each, bytes) for each in sent["strings"][0])
        assert torch.allclose(bottleneck.decode(**sent), bottleneck(images), atol=1e-6)


def test_its_result_lacks_nothing_that_an_entry_needs(walked: Walked) -> None:
    submission = check_submission(walked.folder / "out" / "results" / f"{CURVE}.json")
    required = [item for item in submission.items if item.is_required]
    assert all("commit your changes" in item.to_do for item in required), submission.render()
    assert submission.result is not None and len(submission.result.points) == 2


def test_the_places_for_other_new_things_are_there(repository: Path) -> None:
    page = (repository / "benchmarks" / "adding_a_method.md").read_text()
    for place, name in (
        ("sc2_spic_plugin/leaderboard/codecs/image_codecs.py", "CODECS"),
        ("sc2_spic_plugin/layers/topologies.py", "TOPOLOGIES"),
        ("sc2_spic_plugin/rate_estimators/build.py", "RATE_ESTIMATORS"),
        ("sc2_spic_plugin/leaderboard/styles.py", "METHOD_STYLES"),
    ):
        assert f"`{name}`" in page and re.search(rf"^{name}\b", (repository / place).read_text(), re.MULTILINE)
