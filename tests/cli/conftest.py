"""What several files of tests of the command line share."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from board_parts import Board


@pytest.fixture(scope="session")
def board(tmp_path_factory: pytest.TempPathFactory) -> "Board":
    """A suite that was run and shipped, which takes five seconds; tests change copies of it alone."""
    from board_parts import Board

    from sc2_spic_plugin.cli.bench import schedule, suite_run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suite_run, "plot_rate_accuracy", lambda *_arguments: None)
        patch.setattr(schedule, "POLL_SECONDS", 0.0)
        return Board(tmp_path_factory.mktemp("board"))
