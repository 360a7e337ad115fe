"""Laws of progress in a log: a line a minute with rate and time left, none of a short piece of work."""

import io

from rich.console import Console
from rich.progress import Progress

from sc2_spic_plugin.cli.progress import NOTE_SECONDS, Reporter


class Clock:
    """A clock that tests move."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def reported(is_log: bool) -> tuple[Reporter, Clock, io.StringIO]:
    clock, output = Clock(), io.StringIO()
    progress = Progress(console=Console(file=output, width=40), disable=is_log, get_time=clock)
    return Reporter(progress, progress.add_task("", total=None), "resnet50 [spic]", clock), clock, output


def test_a_log_gets_a_line_a_minute_with_rate_and_time_left() -> None:
    report, clock, output = reported(is_log=True)
    for done in range(1, 200):
        clock.seconds += 1.0
        report.step("epoch 1/2", done, 400)
    lines = output.getvalue().splitlines()
    assert len(lines) == 199 // NOTE_SECONDS
    assert lines[1] == "resnet50 [spic]: epoch 1/2 120/400, 1.0/s, 0:04:40 left"


def test_short_work_says_nothing_in_a_log() -> None:
    report, clock, output = reported(is_log=True)
    for done in range(1, 50):
        clock.seconds += 1.0
        report.step("images", done, 50)
    assert output.getvalue() == ""


def test_a_terminal_has_its_bar_and_no_lines() -> None:
    report, clock, output = reported(is_log=False)
    for done in range(1, 200):
        clock.seconds += 1.0
        report.step("images", done, 400)
    assert output.getvalue() == ""
