"""The engine's own tables, as a daemon has them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.story.scenes import RIGHT, house_of, passes_when


def test_every_queue_is_looked_at_every_two_seconds_without_a_bell_and_the_file_keeps_small_caches(state: Path) -> None:
    house = house_of(state, {}, passes_when(RIGHT))
    with house.daemon(), closing(sqlite3.connect(state / "engine.db")) as engine:
        queues = engine.execute("SELECT name, polling_interval_sec FROM queues ORDER BY name").fetchall()
        caches = engine.execute("PRAGMA cache_size").fetchone()
    assert queues == [("host-here", 2.0), ("intake", 2.0)]
    assert caches == (64,)
