"""What of the house goes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.retention import CACHES, Going, Kind, Live, Retention, Thing, plan, rule_of, told_bytes

DAY = 86_400.0
NOW = 1000 * DAY
RUNS = ("a", "b", "c")
REPOS = ("one", "Two", None)

few = settings(max_examples=30, deadline=None)
things = st.lists(
    st.builds(
        Thing,
        kind=st.sampled_from(Kind),
        name=st.text("xyz", min_size=1, max_size=4),
        used_at=st.floats(NOW - 200 * DAY, NOW + DAY),
        bytes=st.none() | st.integers(0, 2**40),
        runs=st.frozensets(st.sampled_from(RUNS), max_size=2),
        repo=st.sampled_from(REPOS),
        needed=st.none() | st.just("somebody wants it"),
    ),
    max_size=8,
    unique_by=lambda thing: (thing.kind, thing.name),
)
lives = st.builds(
    Live,
    runs=st.frozensets(st.sampled_from(RUNS)),
    repos=st.frozensets(st.sampled_from(("one", "two"))),
)
keeps = st.builds(
    Retention,
    clone_days=st.integers(0, 100),
    history_days=st.integers(0, 100),
    rounds_days=st.integers(0, 100),
    layer_days=st.integers(0, 100),
    layer_bytes=st.integers(0, 2**41),
    layers=st.integers(0, 5),
    mirror_days=st.integers(0, 100),
    mirror_bytes=st.integers(0, 2**41),
    copy_days=st.integers(0, 100),
    image_days=st.integers(0, 100),
)


def thing(kind: Kind, name: str, *, days: float, size: int | None = None, **more: object) -> Thing:
    return Thing(kind=kind, name=name, used_at=NOW - days * DAY, bytes=size, **more)  # type: ignore[arg-type]


def names(going: Sequence[Going]) -> list[str]:
    return [one.thing.name for one in going]


@few
@given(things, lives, keeps, st.booleans())
def test_nothing_goes_that_a_live_run_has_a_use_for(
    found: list[Thing],
    live: Live,
    keep: Retention,
    tight: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    for going in plan(NOW, found, live, keep, tight=tight):
        assert not going.thing.runs & live.runs
        assert (going.thing.repo or "").lower() not in live.repos
        assert going.thing.needed is None
        assert going.why


@few
@given(things, lives, keeps, st.booleans())
def test_the_newest_few_stay_and_nothing_goes_before_its_least_age(
    found: list[Thing],
    live: Live,
    keep: Retention,
    tight: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    going = {(one.thing.kind, one.thing.name) for one in plan(NOW, found, live, keep, tight=tight)}
    for kind in Kind:
        rule = rule_of(kind, keep)
        mine = sorted((one for one in found if one.kind is kind), key=lambda one: (one.used_at, one.name))
        newest = mine[max(0, len(mine) - rule.newest) :]
        assert not {(kind, one.name) for one in newest} & going
        assert not {(kind, one.name) for one in mine if NOW - one.used_at < rule.least_s} & going


@few
@given(things, lives, keeps, st.randoms())
def test_the_order_in_which_things_are_found_changes_nothing(
    found: list[Thing], live: Live, keep: Retention, random: object
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert plan(NOW, found, live, keep) == plan(NOW, shuffled, live, keep)


@few
@given(things, lives, keeps)
def test_what_stays_within_its_age_goes_only_for_the_bytes_of_its_kind(
    found: list[Thing], live: Live, keep: Retention
) -> None:
    for going in plan(NOW, found, live, keep):
        rule = rule_of(going.thing.kind, keep)
        old = NOW - going.thing.used_at >= rule.days * DAY
        held = sum(one.bytes or 0 for one in found if one.kind is going.thing.kind)
        assert old or (rule.bytes and held > rule.bytes)


@few
@given(things, lives, keeps)
def test_a_full_disk_takes_caches_sooner_and_nothing_else(found: list[Thing], live: Live, keep: Retention) -> None:
    usual = {(one.thing.kind, one.thing.name) for one in plan(NOW, found, live, keep)}
    usual = {one for one in usual if one[0] is not Kind.PACKS}
    tight = {(one.thing.kind, one.thing.name) for one in plan(NOW, found, live, keep, tight=True)}
    assert usual <= tight
    assert {kind for kind, _ in tight - usual} <= CACHES


@few
@given(things, lives, keeps)
def test_a_full_disk_is_not_filled_by_packing_and_caches_go_first(
    found: list[Thing], live: Live, keep: Retention
) -> None:
    kinds = [one.thing.kind for one in plan(NOW, found, live, keep, tight=True)]
    assert Kind.PACKS not in kinds
    assert kinds == sorted(kinds, key=lambda kind: kind not in CACHES)


@few
@given(things, lives, keeps)
def test_once_what_goes_has_gone_nothing_more_goes(found: list[Thing], live: Live, keep: Retention) -> None:
    going = {(one.thing.kind, one.thing.name) for one in plan(NOW, found, live, keep)}
    left = [one for one in found if (one.kind, one.name) not in going]
    assert plan(NOW, left, live, keep) == ()


def test_a_kind_that_holds_too_many_bytes_loses_its_longest_unused_until_it_does_not() -> None:
    keep = Retention(layer_days=100, layer_bytes=250, layers=0)
    found = [thing(Kind.LAYER, str(days), days=days, size=100) for days in (2, 3, 4, 5)]
    going = plan(NOW, found, Live(), keep)
    assert names(going) == ["5", "4"]
    assert going[0].why == "its kind holds more than 250 B"


@pytest.mark.parametrize("tight", [False, True])
@pytest.mark.parametrize("newest", [0, 1, 3, 9])
def test_the_newest_layers_stay_however_old_they_are(newest: int, *, tight: bool) -> None:
    found = [thing(Kind.LAYER, str(days), days=days, size=2**40) for days in (200, 100, 300, 400)]
    going = plan(NOW, found, Live(), Retention(layers=newest), tight=tight)
    assert names(going) == ["400", "300", "200", "100"][: max(0, 4 - newest)]


def test_old_clones_go_and_the_clone_of_a_live_run_stays_however_old() -> None:
    found = [thing(Kind.CLONE, name, days=40, runs=frozenset({name})) for name in ("ended", "live")]
    going = plan(NOW, found, Live(runs=frozenset({"live"})), Retention())
    assert [(one.thing.name, one.why) for one in going] == [("ended", "not used for 40 days")]


def test_the_files_of_a_run_that_ended_go_after_an_hour() -> None:
    found = [thing(Kind.RUN_FILES, "young", days=0.03), thing(Kind.RUN_FILES, "old", days=0.05)]
    assert names(plan(NOW, found, Live(), Retention())) == ["old"]


@pytest.mark.parametrize(
    "wrong", [{"clone_days": -1}, {"layer_bytes": -1}, {"history_days": 36_501}, {"sweep_s": 0}, {"sweep_s": 3601}]
)
def test_a_retention_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Retention(**wrong)


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (20 * 1024**2, "20 MiB"), (3 * 1024**4, "3.0 TiB")],
)
def test_bytes_are_told_as_a_person_says_them(count: int, told: str) -> None:
    assert told_bytes(count) == told
