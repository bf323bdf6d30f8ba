from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.adapters.file_lock import _still_named, _take, held
from runner.errors import CheckoutFault


def test_a_lock_has_one_holder_at_a_time(tmp_path: Path) -> None:
    lock = tmp_path / "deep/er/lock"
    inside: list[int] = []
    most: list[int] = []

    def enter(number: int) -> None:
        with held(lock, timeout_s=30):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(64)))
    assert max(most) == 1


def test_a_wait_for_a_lock_ends_at_its_deadline(tmp_path: Path) -> None:
    with held(tmp_path / "lock", timeout_s=1):
        with pytest.raises(CheckoutFault), held(tmp_path / "lock", timeout_s=0.05):
            raise AssertionError
        with held(tmp_path / "other", timeout_s=1):
            pass
    with held(tmp_path / "lock", timeout_s=1):
        pass


def test_a_lock_is_free_after_a_fault_inside_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), held(tmp_path / "lock", timeout_s=1):
        raise ValueError("inside")
    with held(tmp_path / "lock", timeout_s=0.05):
        pass


def test_a_lock_whose_file_was_removed_is_no_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    fd = _take(lock, deadline=0)
    try:
        assert _still_named(lock, fd)
        lock.unlink()
        assert not _still_named(lock, fd)
        lock.touch()
        assert not _still_named(lock, fd)
    finally:
        os.close(fd)
