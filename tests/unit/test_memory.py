"""The heap and the collector of a daemon that is up."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


# Threads that hold memory at once, then how many heaps the C library says there are; malloc_info(3).
_HEAPS = """
import ctypes, sys, threading
from mcp_ashigaru.memory import one_heap
if sys.argv[1] == "one":
    one_heap()
c = ctypes.CDLL(None)
c.malloc.restype = c.fopen.restype = ctypes.c_void_p
together = threading.Barrier(4)
def hold():
    c.malloc(ctypes.c_size_t(4000))
    together.wait(10)
threads = [threading.Thread(target=hold) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
file = ctypes.c_void_p(c.fopen(sys.argv[2].encode(), b"w"))
c.malloc_info(0, file)
c.fclose(file)
"""


@pytest.mark.parametrize("heap", ["one", "many"])
def test_threads_share_one_heap_once_they_are_told_to(tmp_path: Path, heap: str) -> None:
    subprocess.run([sys.executable, "-c", _HEAPS, heap, str(tmp_path / "told")], check=True, timeout=60)
    heaps = (tmp_path / "told").read_text().count("<heap nr=")
    assert (heaps == 1) == (heap == "one"), heaps
