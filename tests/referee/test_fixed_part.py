"""A fixed part of the referee corpus: on this machine without sandboxes, and on real podman."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.referee.case import RIGHT, Change, Hidden, Repository
from tests.referee.defences import DEFENCES
from tests.referee.registry import CHEATS, HONEST, REPOSITORIES
from tests.referee.running import laid_out

STATE = Path("/tmp/unused")  # noqa: S108 - short, and never made: the judge here makes a directory of its own


def is_right(place: Path, repository: Repository, change: Change, hidden: Hidden) -> bool:
    laid_out(place, repository.files, change)
    laid_out(place, hidden.files, {})
    done = subprocess.run(
        [part.format(python=sys.executable) for part in hidden.command],
        cwd=place,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode == 0 and done.stdout.rstrip().endswith(RIGHT)


def test_every_case_has_a_name_of_its_own_a_repository_and_a_defence_that_there_is() -> None:
    cases = (*CHEATS, *HONEST)
    assert len({case.name for case in cases}) == len(cases)
    assert {case.repo for case in cases} <= set(REPOSITORIES)
    assert {case.caught_by for case in CHEATS} <= set(DEFENCES)
