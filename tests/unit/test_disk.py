"""What a sandbox may write to the host's disk, and what the host keeps free."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.disk import Disk, DiskLimits, Room, Use, room_at, too_much, use_of, writable_by
from runner.errors import DiskLow
from runner.sandbox import Owner, agent_spec

MIB = 1024 * 1024
LIMITS = DiskLimits(written=4 * MIB, entries=20, floor=100 * MIB)


@dataclass
class Hand:
    """A clock that a test moves on, and a file system whose room it sets."""

    at: float = 0.0
    free: int = 1000 * MIB
    files: int | None = None
    looks: list[Path] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    def room(self, path: Path) -> Room:
        self.looks.append(path)
        return Room(free=self.free, files=self.files)


def disk_of(hand: Hand, state: Path, limits: DiskLimits = LIMITS) -> Disk:
    return Disk(state_dir=state, clock=hand, limits=limits, room=hand.room)


def fill(path: Path, size: int) -> Path:
    path.write_bytes(b"\xa5" * size)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return path


def a_large_file(place: Path) -> None:
    fill(place / "large", 5 * MIB)


def many_small_files(place: Path) -> None:
    for number in range(25):
        (place / str(number)).touch()


def many_folders(place: Path) -> None:
    for number in range(25):
        place = place / str(number)
        place.mkdir()


def many_symlinks(place: Path) -> None:
    for number in range(25):
        (place / str(number)).symlink_to("/")


@pytest.mark.parametrize(
    ("fills", "says"),
    [
        (a_large_file, "wrote more than 4 MiB"),
        (many_small_files, "made more than 20 files"),
        (many_folders, "made more than 20 files"),
        (many_symlinks, "made more than 20 files"),
    ],
)
def test_a_sandbox_that_fills_its_directories_has_to_be_stopped(
    tmp_path: Path, fills: Callable[[Path], None], says: str
) -> None:
    hand = Hand()
    watch = disk_of(hand, tmp_path).watch((tmp_path,))
    assert watch.over() is None
    fills(tmp_path)
    hand.at += 1.1
    told = watch.over()
    assert told is not None
    assert says in told


def test_all_its_directories_count_together(tmp_path: Path) -> None:
    for name in ("tree", "out"):
        (tmp_path / name).mkdir()
        fill(tmp_path / name / "half", 3 * MIB)
    assert too_much(use_of((tmp_path / "tree",), LIMITS), 0, LIMITS) is None
    assert too_much(use_of((tmp_path / "tree", tmp_path / "out"), LIMITS), 0, LIMITS) is not None


def test_a_sparse_file_counts_for_what_it_holds_on_disk(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1024**4)
    assert use_of((tmp_path,), LIMITS).written < MIB


def test_a_file_of_many_names_counts_once(tmp_path: Path) -> None:
    fill(tmp_path / "one", 2 * MIB)
    for number in range(5):
        (tmp_path / f"name-{number}").hardlink_to(tmp_path / "one")
    use = use_of((tmp_path,), LIMITS)
    assert use.entries == 6
    assert use.written < 3 * MIB


def test_no_symlink_is_followed_out_of_what_is_counted(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    fill(tmp_path / "elsewhere" / "large", 5 * MIB)
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "way").symlink_to(tmp_path / "elsewhere")
    use = use_of((tmp_path / "tree",), LIMITS)
    assert use.entries == 1
    assert use.written < MIB


def test_counting_ends_at_the_limits(tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / str(number)).touch()
    use = use_of((tmp_path,), LIMITS)
    assert (use.cut, use.entries) == (True, LIMITS.entries + 1)


def test_a_directory_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    assert use_of((tmp_path / "gone",), LIMITS) == Use(written=0, entries=0)


@pytest.mark.parametrize(("lost", "stopped"), [(4 * MIB, False), (5 * MIB, True)])
def test_what_is_hidden_is_blamed_only_while_the_disk_fills(lost: int, *, stopped: bool) -> None:
    told = too_much(Use(written=0, entries=1, hidden=True), lost, LIMITS)
    assert (told is not None) is stopped
    assert too_much(Use(written=0, entries=1), lost, LIMITS) is None


def test_files_are_counted_now_and_then_and_the_file_system_at_every_look(tmp_path: Path) -> None:
    hand = Hand()
    watch = disk_of(hand, tmp_path).watch((tmp_path,))
    a_large_file(tmp_path)
    assert [watch.over() for _ in range(5)] == [None] * 5
    assert len(hand.looks) == 6
    hand.at += 1.1
    assert watch.over() is not None


def test_files_are_counted_at_once_when_the_file_system_lost_more_than_the_sandbox_has_left(tmp_path: Path) -> None:
    hand = Hand()
    watch = disk_of(hand, tmp_path).watch((tmp_path,))
    a_large_file(tmp_path)
    hand.free -= 5 * MIB
    assert watch.over() is not None


def test_somebody_else_who_fills_the_disk_is_not_this_sandboxes_fault(tmp_path: Path) -> None:
    hand = Hand()
    watch = disk_of(hand, tmp_path).watch((tmp_path,))
    hand.free -= 500 * MIB
    assert watch.over() is None


@pytest.mark.parametrize(("lost", "told"), [(0, False), (6 * MIB, True)])
def test_a_sandbox_that_ended_is_counted_where_the_file_system_gives_a_reason(
    tmp_path: Path, lost: int, *, told: bool
) -> None:
    hand = Hand()
    watch = disk_of(hand, tmp_path).watch((tmp_path,))
    a_large_file(tmp_path)
    hand.free -= lost
    assert (watch.over(at_end=True) is not None) is told


@pytest.mark.parametrize(("free", "fits"), [(100 * MIB, True), (100 * MIB - 1, False)])
def test_no_round_starts_below_the_floor(tmp_path: Path, free: int, *, fits: bool) -> None:
    disk = disk_of(Hand(free=free), tmp_path)
    if fits:
        disk.fit_for_a_round()
        return
    with pytest.raises(DiskLow, match="ASHIGARU_DISK_FLOOR") as low:
        disk.fit_for_a_round()
    assert low.value.retry_after_s == 300


def test_running_sandboxes_are_stopped_at_half_the_floor(tmp_path: Path) -> None:
    hand = Hand(free=50 * MIB)
    watch = disk_of(hand, tmp_path).watch((tmp_path,))
    assert watch.over() is None
    hand.free -= 1
    with pytest.raises(DiskLow):
        watch.over()
    assert watch.over(at_end=True) is None


def test_a_file_system_short_of_files_is_as_full_as_one_short_of_bytes(tmp_path: Path) -> None:
    disk_of(Hand(files=20), tmp_path).fit_for_a_round()
    with pytest.raises(DiskLow, match="19 more files"):
        disk_of(Hand(files=19), tmp_path).fit_for_a_round()


def test_the_room_is_asked_of_the_nearest_directory_that_is_there(tmp_path: Path) -> None:
    there, not_yet = room_at(tmp_path), room_at(tmp_path / "not" / "yet")
    assert there.free > 0
    assert not_yet.files == there.files or abs((not_yet.files or 0) - (there.files or 0)) < 10_000


def test_what_is_watched_is_what_the_recipe_lets_it_write() -> None:
    spec = agent_spec(
        owner=Owner(run_id="r", attempt=1, host="h"),
        image="i",
        relay_image="i",
        tree="/t",
        in_dir="/i",
        out_dir="/o",
        socket_dir="/s",
    )
    assert writable_by(spec) == (Path("/t"), Path("/o"))
