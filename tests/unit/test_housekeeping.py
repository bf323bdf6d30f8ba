"""A sweep: what is due goes, what is in use stays, and whatever cuts it off leaves nothing half done."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from runner import layers
from runner.adapters.sql_receipts import SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.disk import Disk, DiskLimits, Room
from runner.errors import CheckoutFault, DiskLow
from runner.house_files import Layers, RunFiles, Sockets
from runner.house_watch import HouseWatch
from runner.housekeeping import Housekeeping, Swept, held_words
from runner.layout import Layout
from runner.model import Phase
from runner.records import RunRecord
from runner.retention import Going, Kind, Retention, Thing

NOW = 1_800_000_000.0
DAY = 86_400.0


@dataclass(kw_only=True)
class Hand:
    """A clock that a test moves."""

    at: float = NOW
    passed: float = 0.0

    def now(self) -> float:
        return self.at + self.passed

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


@dataclass(kw_only=True)
class Shelf:
    """A stock in memory. cost_s: how long putting one away takes; stuck: what cannot be."""

    clock: Hand
    there: list[Thing] = field(default_factory=list)
    kind: Kind = Kind.MIRROR
    cost_s: float = 0.0
    stuck: str = ""
    lost: bool = False

    def things(self) -> Iterator[Thing]:
        if self.lost:
            raise OSError("the shelf is gone")
        yield from list(self.there)

    def put_away(self, thing: Thing) -> bool:
        self.clock.sleep(self.cost_s)
        if thing.name == self.stuck:
            raise CheckoutFault("It is nailed down; pull the nail.")
        self.there = [one for one in self.there if one.name != thing.name]
        return True


@pytest.fixture
def clock() -> Hand:
    return Hand()


def old(name: str, kind: Kind = Kind.MIRROR, **more: object) -> Thing:
    return Thing(kind=kind, name=name, used_at=NOW - 500 * DAY, bytes=10, **more)  # type: ignore[arg-type]


def run(run_id: str, phase: Phase) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        repo="widgets",
        issue=1,
        brief="",
        model=None,
        phase=phase,
        base_branch="main",
        branch="b",
        created_at=NOW,
        updated_at=NOW,
        start_tier=0,
    )


def housekeeping(tmp_path: Path, records: SqlRecords, clock: Hand, *stocks: object, **more: object) -> Housekeeping:
    receipts = SqlReceipts(records._engine, clock, host="here", anchors=tmp_path / "anchors")
    told = {"keep": Retention(), "stocks": stocks, "state_dir": tmp_path} | more
    return Housekeeping(records=records, receipts=receipts, clock=clock, **told)  # type: ignore[arg-type]


def gone(swept: Swept) -> list[str]:
    return [going.thing.name for going in swept.gone]


def test_a_dry_run_says_what_would_go_and_changes_nothing(tmp_path: Path, records: SqlRecords, clock: Hand) -> None:
    shelf = Shelf(clock=clock, there=[old("a"), old("b")])
    house = housekeeping(tmp_path, records, clock, shelf)
    assert gone(house.sweep(dry_run=True)) == ["a", "b"]
    assert len(shelf.there) == 2
    assert gone(house.sweep()) == ["a", "b"]
    assert house.sweep() == Swept()


def test_a_sweep_ends_when_its_time_is_up_and_the_next_one_goes_on(
    tmp_path: Path, records: SqlRecords, clock: Hand
) -> None:
    shelf = Shelf(clock=clock, there=[old(name) for name in "abcde"], cost_s=4)
    house = housekeeping(tmp_path, records, clock, shelf)
    first = house.sweep(within_s=10)
    assert (gone(first), first.left) == (["a", "b", "c"], 2)
    assert gone(house.sweep(within_s=10)) == ["d", "e"]


def test_looking_takes_half_of_a_sweep_at_most_and_what_was_not_seen_stays(
    tmp_path: Path, records: SqlRecords, clock: Hand
) -> None:
    @dataclass(kw_only=True)
    class Slow(Shelf):
        def things(self) -> Iterator[Thing]:
            for thing in super().things():
                self.clock.sleep(2)
                yield thing

    shelf = Slow(clock=clock, there=[old(name) for name in "abcde"])
    assert gone(housekeeping(tmp_path, records, clock, shelf).sweep(within_s=10)) == ["a", "b", "c"]
    assert [one.name for one in shelf.there] == ["d", "e"]


def test_a_daemon_that_leaves_ends_its_sweep(tmp_path: Path, records: SqlRecords, clock: Hand) -> None:
    shelf = Shelf(clock=clock, there=[old("a")])
    swept = housekeeping(tmp_path, records, clock, shelf, stopping=lambda: True).sweep()
    assert (swept.gone, swept.left) == ((), 1)


def test_what_cannot_go_is_told_and_keeps_nothing_else(tmp_path: Path, records: SqlRecords, clock: Hand) -> None:
    shelf = Shelf(clock=clock, there=[old("a"), old("b")], stuck="a")
    away = Shelf(clock=clock, kind=Kind.COPY, lost=True)
    swept = housekeeping(tmp_path, records, clock, away, shelf).sweep()
    assert gone(swept) == ["b"]
    assert swept.faults == ("copy: the shelf is gone", "mirror a: It is nailed down; pull the nail.")
    assert swept.kept == ((Kind.MIRROR, 1, 10),)


def test_a_run_that_is_live_again_since_the_plan_keeps_what_is_its(
    tmp_path: Path, records: SqlRecords, clock: Hand
) -> None:
    records.claim(run("r", Phase.ESCALATED))

    @dataclass(kw_only=True)
    class Revived(Shelf):
        def put_away(self, thing: Thing) -> bool:
            # The first deed of the sweep takes its time, and somebody asks for changes meanwhile.
            records.change("r", {"phase": Phase.QUEUED}, NOW)
            return super().put_away(thing)

    first = Revived(clock=clock, kind=Kind.RUN_FILES, there=[old("x", Kind.RUN_FILES)])
    clones = Shelf(clock=clock, kind=Kind.CLONE, there=[old("r", Kind.CLONE, runs=frozenset({"r"}))])
    assert gone(housekeeping(tmp_path, records, clock, first, clones).sweep()) == ["x"]
    assert [one.name for one in clones.there] == ["r"]


def test_one_sweep_at_a_time(tmp_path: Path, records: SqlRecords, clock: Hand) -> None:
    seen: list[Swept] = []

    @dataclass(kw_only=True)
    class Nested(Shelf):
        def put_away(self, thing: Thing) -> bool:
            seen.append(house.sweep())
            return super().put_away(thing)

    house = housekeeping(tmp_path, records, clock, Nested(clock=clock, there=[old("a")]))
    assert gone(house.sweep()) == ["a"]
    assert seen == [Swept(busy=True)]


def test_what_could_not_be_put_away_is_so_in_its_receipt(tmp_path: Path, records: SqlRecords, clock: Hand) -> None:
    shelf = Shelf(clock=clock, kind=Kind.CLONE, there=[old("r", Kind.CLONE, runs=frozenset({"r"}))], stuck="r")
    house = housekeeping(tmp_path, records, clock, shelf)
    house.sweep()
    shelf.stuck = ""
    house.sweep()
    stages = [link.stage for link in SqlReceipts(records._engine, clock, host="here", anchors=tmp_path / "a").links()]
    assert stages == ["intent", "unknown", "intent", "done"]


# --- a full disk ---


def test_a_full_disk_is_tidied_before_a_round_is_refused(tmp_path: Path, records: SqlRecords, clock: Hand) -> None:
    shelf = Shelf(clock=clock, there=[replace(old("a"), used_at=NOW - DAY)])
    watch = HouseWatch(house=housekeeping(tmp_path, records, clock, shelf))
    limits = DiskLimits(floor=100)
    disk = Disk(
        state_dir=tmp_path,
        clock=clock,
        limits=limits,
        relief=watch.relieve,
        room=lambda _: Room(free=50 if shelf.there else 150, files=None),
    )
    disk.fit_for_a_round()
    assert shelf.there == []


def test_a_disk_that_stays_full_says_what_was_freed_and_what_is_kept(
    tmp_path: Path, records: SqlRecords, clock: Hand
) -> None:
    shelf = Shelf(clock=clock, there=[old("a"), replace(old("b"), used_at=NOW, bytes=5 * 1024**3)])
    watch = HouseWatch(house=housekeeping(tmp_path, records, clock, shelf))
    disk = Disk(
        state_dir=tmp_path,
        clock=clock,
        limits=DiskLimits(floor=100),
        relief=watch.relieve,
        room=lambda _: Room(free=50, files=None),
    )
    with pytest.raises(DiskLow, match=r"\(`gc` has just freed 10 B; what is kept: 5.0 GiB of mirrors\)"):
        disk.fit_for_a_round()


def test_a_full_disk_is_not_tidied_again_and_again(tmp_path: Path, records: SqlRecords, clock: Hand) -> None:
    shelf = Shelf(clock=clock)
    watch = HouseWatch(house=housekeeping(tmp_path, records, clock, shelf))
    watch.relieve()
    shelf.there = [old("a")]
    watch.relieve()
    assert shelf.there
    clock.passed += 300
    assert watch.relieve() == "`gc` has just freed 10 B"
    assert shelf.there == []


def test_what_is_kept_is_told_the_largest_first() -> None:
    kept = ((Kind.CLONE, 1, 1024), (Kind.HISTORY, 9, 0), (Kind.LAYER, 2, 4096))
    assert held_words(Swept(kept=kept)) == "4.0 KiB of set-up layers, 1.0 KiB of clones of ended runs"


def test_what_is_packed_is_not_freed() -> None:
    packed = Going(thing=Thing(kind=Kind.PACKS, name="a", used_at=0.0, bytes=7), why="in many pieces")
    assert Swept(gone=(packed,)).freed == 0


# --- files ---


def made(path: Path, days: float, *, now: float = NOW) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    aged(path, days, now=now)
    return path


def aged(path: Path, days: float, *, now: float = NOW) -> None:
    for one in (*path.rglob("*"), path):
        os.utime(one, (now - days * DAY, now - days * DAY))


def test_what_a_cut_off_close_left_goes_and_the_files_of_a_live_run_stay(
    tmp_path: Path, records: SqlRecords, clock: Hand
) -> None:
    layout = Layout(state_dir=tmp_path)
    records.claim(run("live", Phase.AGENT))
    for name in ("live", "ended"):
        made(layout.attempt(name, 1).tree, 10)
        aged(layout.run(name), 10)
    for owner in ("live/1", "ended/1"):
        made(layout.sockets(owner), 10)
    records.change("live", {"attempt": 1}, NOW)
    house = housekeeping(tmp_path, records, clock, RunFiles(layout=layout), Sockets(layout=layout, records=records))
    assert sorted(gone(house.sweep())) == sorted(["ended", layout.sockets("ended/1").name])
    assert layout.attempt("live", 1).tree.exists()
    assert layout.sockets("live/1").exists()
    assert not layout.run("ended").exists()


def a_layer(layout: Layout, name: str, days: float, run_id: str = "someone") -> Path:
    root = layout.environments / name
    made(root / "env", days)
    (root / "env" / "lib").write_text("lib", encoding="utf-8")
    (root / "finished").write_text("key", encoding="utf-8")
    assert layers.in_use(layout, root, run_id)
    aged(root, days)
    return root


def test_layers_that_nobody_uses_go_but_for_the_newest_and_those_of_live_runs(
    tmp_path: Path, records: SqlRecords, clock: Hand
) -> None:
    layout = Layout(state_dir=tmp_path)
    records.claim(run("live", Phase.AWAITING_REVIEW))
    for name, days, user in (("a", 400, "live"), ("b", 300, "ended"), ("c", 200, "ended"), ("d", 100, "ended")):
        a_layer(layout, name, days, user)
    house = housekeeping(tmp_path, records, clock, Layers(layout=layout), keep=Retention(layers=1))
    assert gone(house.sweep()) == ["b", "c"]
    assert [root.name for root in layers.layers(layout)] == ["a", "d"]


def test_a_layer_that_is_handed_out_after_the_plan_stays(tmp_path: Path) -> None:
    layout = Layout(state_dir=tmp_path)
    root = a_layer(layout, "a", 100)
    seen = layers.used_at(root)
    assert layers.in_use(layout, root, "another")
    assert not layers.put_away(layout, root, seen)
    assert (root / "env" / "lib").exists()
    aged(root, 100)
    assert layers.put_away(layout, root, seen)
    assert not layers.in_use(layout, root, "another")


def test_what_a_deletion_that_was_cut_off_left_of_a_layer_is_no_layer_and_goes(
    tmp_path: Path, records: SqlRecords, clock: Hand
) -> None:
    layout = Layout(state_dir=tmp_path)
    root = a_layer(layout, "a", 100)
    root.rename(layout.environments / ".gone-a")
    assert layers.layers(layout) == ()
    house = housekeeping(tmp_path, records, clock, RunFiles(layout=layout), Layers(layout=layout))
    assert gone(house.sweep()) == ["layer/.gone-a"]
    assert list(layout.environments.iterdir()) == []


def test_nobody_is_handed_a_layer_while_it_is_put_away(tmp_path: Path) -> None:
    layout = Layout(state_dir=tmp_path)
    root = a_layer(layout, "a", 100)
    answers: list[bool] = []
    with layers._alone(layout):
        asking = threading.Thread(target=lambda: answers.append(layers.in_use(layout, root, "another")))
        asking.start()
        asking.join(0.1)
        assert answers == []
        root.rename(layout.environments / ".gone-a")
    asking.join(10)
    assert answers == [False]


def test_no_more_users_of_a_layer_are_remembered_than_is_worth_it(tmp_path: Path) -> None:
    layout = Layout(state_dir=tmp_path)
    root = a_layer(layout, "a", 1)
    for number in range(layers._MOST_USERS + 20):
        layers.in_use(layout, root, f"r{number}")
    assert len(layers.users_of(root)) == layers._MOST_USERS
    assert f"r{layers._MOST_USERS + 19}" in layers.users_of(root)


def test_a_mirror_whose_repository_is_worked_in_again_since_the_plan_was_made_stays(
    tmp_path: Path, records: SqlRecords, clock: Hand
) -> None:
    class Busy(Shelf):
        def put_away(self, thing: Thing) -> bool:
            # The plan is made; while its first deed is done a ticket for the other repository comes in.
            records.claim(run("widgets-1", Phase.QUEUED))
            return super().put_away(thing)

    shelf = Busy(clock=clock, there=[old("a", repo="gadgets"), old("b", repo="Widgets")])
    assert gone(housekeeping(tmp_path, records, clock, shelf).sweep()) == ["a"]
    assert [one.name for one in shelf.there] == ["b"]
