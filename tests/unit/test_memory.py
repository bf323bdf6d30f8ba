"""The collector of a daemon that is up."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from mcp_ashigaru.memory import settled


@pytest.fixture
def as_it_was() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("as_it_was")
def test_what_is_there_when_a_daemon_is_up_is_left_alone_and_what_comes_is_collected_less_often() -> None:
    before = gc.get_threshold()
    settled()
    assert gc.get_freeze_count() > 1_000
    assert gc.get_threshold()[0] > 10 * before[0]
