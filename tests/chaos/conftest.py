"""One process that makes victims, for all tests of a module: importing is what takes its time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chaos.driving import templates_in
from tests.chaos.ground import Templates, scratch
from tests.chaos.nursery import Nursery, nursery


@dataclass(frozen=True, kw_only=True)
class Chaos:
    """Where victims come from, and the state directories that they begin with."""

    nursery: Nursery
    templates: Templates


@pytest.fixture(scope="module")
def chaos() -> Iterator[Chaos]:
    with scratch() as home, nursery() as made, templates_in(Path(home), made) as ready:
        yield Chaos(nursery=made, templates=ready)
