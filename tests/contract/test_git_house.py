"""Repositories that the house keeps, on real git: packed when they are in pieces, gone when nobody wants them."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.adapters.file_lock import held
from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_history import GitHistory
from runner.adapters.git_house import Clones, Packs, Repositories, mirrors
from runner.adapters.sql_engine import migrate, open_engine
from runner.adapters.sql_records import SqlRecords
from runner.errors import CheckoutFault
from runner.model import Remote
from runner.retention import Kind, Thing
from tests.git_rig import commit_all, git, make_repository, write

REPO = "acme/widgets"


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A mirror of a work tree, with the checkouts that keep it."""

    root: Path
    work: Path
    checkouts: GitCheckouts

    @property
    def mirror(self) -> Path:
        (one,) = (self.root / "mirrors").iterdir()
        return one

    def refresh(self) -> None:
        self.checkouts.refresh(REPO, Remote(url=f"file://{self.work}"))

    def change(self, files: dict[str, str | bytes], message: str = "change") -> str:
        write(self.work, files)
        return commit_all(self.work, message)

    def packs(self) -> Packs:
        return Packs(places=(mirrors(self.root),), home=self.root / "home", packs=2, patience_s=0.1)

    def mirrors(self) -> Repositories:
        return Repositories(place=mirrors(self.root), kind=Kind.MIRROR)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    work = tmp_path / "work"
    make_repository(work, {"a": "one\n", "b": "two\n"})
    checkouts = GitCheckouts(tmp_path / "git", name="Ash", email="ash@example.org", timeout_s=10)
    made = Rig(root=tmp_path / "git", work=work, checkouts=checkouts)
    made.refresh()
    return made


def in_many_packs(rig: Rig) -> str:
    """A mirror of three packs; the head of main."""
    for number in range(3):
        head = rig.change({"a": f"{number}\n"})
        rig.refresh()
        git(rig.mirror, "repack", "-d", "-q")
    return head


def test_a_repository_in_many_pieces_is_packed_and_holds_what_it_held(rig: Rig) -> None:
    assert list(rig.packs().things()) == []
    head = in_many_packs(rig)
    before = git(rig.mirror, "rev-list", "--all", "--objects")
    (thing,) = rig.packs().things()
    assert (thing.repo, thing.kind) == (None, Kind.PACKS), "nobody's: it is packed while runs are live"
    assert rig.packs().put_away(thing)
    assert len(list((rig.mirror / "objects" / "pack").glob("*.pack"))) == 1
    assert git(rig.mirror, "rev-list", "--all", "--objects") == before
    assert git(rig.mirror, "fsck", "--strict") == ""
    assert list(rig.packs().things()) == []
    assert rig.checkouts.branch_head(REPO, "main") == head
    rig.checkouts.clone("run-1", REPO)
    assert rig.checkouts.read("run-1", head, "a") == b"2\n"


def test_what_no_branch_reaches_any_more_is_kept_for_a_while(rig: Rig) -> None:
    lost = rig.change({"a": "lost\n"})
    rig.refresh()
    git(rig.mirror, "repack", "-d", "-q")
    git(rig.work, "reset", "--quiet", "--hard", "HEAD^")
    in_many_packs(rig)
    (thing,) = rig.packs().things()
    rig.packs().put_away(thing)
    assert git(rig.mirror, "cat-file", "-t", lost) == "commit"


def test_what_no_branch_reaches_comes_out_of_packing_in_no_more_pieces_than_it_went_in(rig: Rig) -> None:
    rig.change({f"many/{number}": f"{number}\n" for number in range(1500)})
    rig.refresh()
    git(rig.mirror, "repack", "-d", "-q")
    git(rig.work, "reset", "--quiet", "--hard", "HEAD^")
    in_many_packs(rig)
    (thing,) = rig.packs().things()
    assert rig.packs().put_away(thing)
    assert list(rig.packs().things()) == []
    assert len(list((rig.mirror / "objects").glob("??/*"))) < 100


def test_nothing_is_packed_while_somebody_else_is_at_the_repository(rig: Rig) -> None:
    in_many_packs(rig)
    (thing,) = rig.packs().things()
    lock = mirrors(rig.root).lock_of(rig.mirror)
    with held(lock, timeout_s=1):
        answers: list[str] = []

        def pack() -> None:
            try:
                rig.packs().put_away(thing)
            except CheckoutFault as exc:
                answers.append(str(exc))

        packing = threading.Thread(target=pack)
        packing.start()
        packing.join(20)
    assert "was held by another command for too long" in answers[0]


def test_the_lock_is_the_one_that_a_fetch_holds(rig: Rig) -> None:
    impatient = GitCheckouts(rig.root, name="Ash", email="ash@example.org", timeout_s=0.05)
    with held(mirrors(rig.root).lock_of(rig.mirror), timeout_s=1), pytest.raises(CheckoutFault, match="was held"):
        impatient.refresh(REPO, Remote(url=f"file://{rig.work}"))


def test_a_mirror_that_goes_is_made_anew_when_it_is_wanted(rig: Rig) -> None:
    (thing,) = rig.mirrors().things()
    assert thing.repo == REPO
    assert (thing.bytes or 0) > 0
    assert rig.mirrors().put_away(thing)
    assert rig.mirrors().put_away(thing)
    assert list(rig.mirrors().things()) == []
    assert rig.checkouts.branch_head(REPO, "main") is None
    rig.refresh()
    assert rig.checkouts.branch_head(REPO, "main") == git(rig.work, "rev-parse", "HEAD")


def test_a_mirror_that_was_brought_up_since_it_was_looked_at_stays(rig: Rig) -> None:
    for one in (*rig.mirror.rglob("*"), rig.mirror):
        os.utime(one, (1_000_000, 1_000_000))
    (thing,) = rig.mirrors().things()
    assert thing.used_at == 1_000_000
    rig.change({"c": "three\n"})
    rig.refresh()
    assert not rig.mirrors().put_away(thing)
    assert rig.mirror.exists()


def test_what_a_deletion_that_was_cut_off_left_goes_at_once(rig: Rig) -> None:
    (rig.mirror / "HEAD").unlink()
    (thing,) = rig.mirrors().things()
    assert thing.used_at == 0.0
    assert rig.mirrors().put_away(thing)
    assert list((rig.root / "mirrors").iterdir()) == []


def test_a_mirror_of_which_nobody_can_tell_whose_it_is_stays(rig: Rig) -> None:
    rig.checkouts.refresh("acme/" + "w" * 200, Remote(url=f"file://{rig.work}"))
    told = {thing.repo: thing.needed for thing in rig.mirrors().things()}
    assert told == {REPO: None, None: "nobody can tell whose it is"}


def test_a_clone_is_as_old_as_its_run(rig: Rig, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/ashigaru.db")
    migrate(engine)
    rig.checkouts.clone("run-1", REPO)
    clones = Clones(root=rig.root, checkouts=rig.checkouts, records=SqlRecords(engine))
    (thing,) = clones.things()
    assert (thing.name, thing.runs) == ("run-1", frozenset({"run-1"}))
    assert clones.put_away(thing)
    assert list(clones.things()) == []
    assert list((rig.root / "clones").iterdir()) == []
    engine.dispose()


def test_the_history_of_a_branch_is_told_oldest_first(rig: Rig) -> None:
    history = GitHistory(checkouts=rig.checkouts)
    second = rig.change({"a": "2\n"}, "Second\n\nWith a body.\n")
    third = rig.change({"a": "3\n"}, "Third")
    rig.refresh()
    told = history.since(REPO, "main", 2)
    assert [(one.sha, one.subject) for one in told] == [(second, "Second"), (third, "Third")]
    assert told[0].message == "Second\n\nWith a body."
    assert history.since(REPO, "none", 2) == history.since("nowhere", "main", 2) == ()


@pytest.mark.parametrize(
    ("after", "back"),
    [
        ({}, False),
        ({"a": "one\n"}, False),
        ({"a": "one\n", "new": None}, True),
        ({"a": "one\n", "new": None, "b": "elsewhere\n"}, True),
        ({"a": "something else\n", "new": None}, False),
    ],
)
def test_a_commit_has_gone_back_when_every_file_of_it_is_as_before(
    rig: Rig,
    after: dict[str, str | None],
    back: bool,  # noqa: FBT001 - a case
) -> None:
    sha = rig.change({"a": "changed\n", "new": "new\n"})
    for name, text in after.items():
        (rig.work / name).unlink() if text is None else (rig.work / name).write_text(text, encoding="utf-8")
    commit_all(rig.work, "later")
    rig.refresh()
    history = GitHistory(checkouts=rig.checkouts)
    assert history.went_back(REPO, "main", sha) == back
    assert not history.went_back(REPO, "main", "0" * 40)


def test_a_commit_without_files_has_not_gone_back(rig: Rig) -> None:
    sha = rig.change({}, "nothing")
    rig.refresh()
    assert not GitHistory(checkouts=rig.checkouts).went_back(REPO, "main", sha)


def test_a_thing_of_a_place_that_is_not_there_is_no_thing(tmp_path: Path) -> None:
    place = mirrors(tmp_path / "none")
    assert list(Repositories(place=place, kind=Kind.MIRROR).things()) == []
    assert list(Packs(places=(place,), home=tmp_path).things()) == []
    assert not Packs(places=(place,), home=tmp_path).put_away(Thing(kind=Kind.PACKS, name="0/a.git", used_at=0.0))
