"""The forge to be tried. Another one joins by one more entry in `tests.contract.forge_rig.FORGES`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.forge_rig import FORGES, Rig
from tests.contract.github_rig import github

ALL = {**FORGES, "github": github}


@pytest.fixture(params=ALL)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with ALL[request.param](tmp_path) as made:
        yield made
