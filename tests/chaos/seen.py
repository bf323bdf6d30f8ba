"""What there is at the end of a run, told by the world and not by the daemon, against what should be."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.ground import Ground
from tests.story.house import git
from tests.story.worlds import GithubWorld, LocalWorld

_IGNORED = re.compile(
    r"(?:.*/)?(?:objects|logs|hooks|info)(?:/.*)?|.*-(?:wal|shm)|receipts\.anchors|(?:.*/)?(?:ORIG_HEAD|FETCH_HEAD)"
    r"|(?:.*/)?packed-refs"
)

_HASH = re.compile(r"-?[0-9a-f]{20}$")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """story: what a person is told, and the forge's trees. deeds: how often each thing was done, from the engine's and
    the forge's own logs of writes. left: what is lying about.
    """

    story: Mapping[str, Any]
    deeds: Counter[str]
    left: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """lost: what of the story is not as it should be. duplicates: deeds done too often. residue: what was left."""

    lost: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    residue: tuple[str, ...] = ()

    @property
    def none(self) -> bool:
        return not (self.lost or self.duplicates or self.residue)


def compared(seen: Seen, expected: Seen, raced: frozenset[str] = frozenset()) -> Difference:
    """How `seen` differs from an undisturbed run. raced: deeds done once or twice, whichever came first."""
    story = [
        f"{key}: {seen.story.get(key)!r} instead of {value!r}"
        for key, value in expected.story.items()
        if seen.story.get(key) != value
    ]
    # An undisturbed run is one outcome of the race, and a crash may have the other come about: neither is the measure.
    often = {name: (1, 2) if name in raced else (n, n) for name, n in expected.deeds.items()}
    often |= {name: (0, 0) for name in seen.deeds if name not in often}
    lacking = [
        f"{name}: {seen.deeds[name]} instead of {least}"
        for name, (least, _) in often.items()
        if seen.deeds[name] < least
    ]
    more = [
        f"{name}: {seen.deeds[name]} instead of {most}" for name, (_, most) in often.items() if seen.deeds[name] > most
    ]
    return Difference(
        lost=tuple(story + lacking),
        duplicates=tuple(sorted(more)),
        residue=_topmost(seen.left - expected.left),
    )


def _topmost(left: frozenset[str]) -> tuple[str, ...]:
    """Without what is in a directory that is told itself."""
    return tuple(sorted(one for one in left if one.rpartition("/")[0] not in left))


def look(ground: Ground, told: Mapping[str, Any]) -> Seen:
    """Everything as it is now. told: the run's status."""
    run_id = str(told["run_id"])

    def plain(text: str) -> str:
        return text.replace(run_id, "RUN").replace(run_id.rsplit("-", 1)[1], "ID")

    world = ground.world
    refs = dict(
        line.split()
        for line in git(world.bare, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
    )
    branches = {
        plain(name): (git(world.bare, "rev-parse", f"{sha}^{{tree}}"), git(world.bare, "rev-list", "--count", sha))
        for name, sha in refs.items()
    }
    story = {
        "phase": told["phase"],
        "tiers": [(one["tier"], one["ending"], one["verdict"]) for one in told["tiers_tried"]],
        "pull": told["pull"] and told["pull"]["number"],
        "rounds": (told["ci_rounds"], told["review_rounds"]),
        "notices": sorted(one["kind"] for one in told["notices"]),
        "branches": branches,
    }
    return Seen(story=story, deeds=_deeds(ground, run_id, plain), left=frozenset(_left(ground, run_id, plain)))


def _deeds(ground: Ground, run_id: str, plain: Any) -> Counter[str]:
    deeds: Counter[str] = Counter()
    names: Counter[str] = Counter()
    for name in ground.engine.started(run_id):
        names[name] += name.startswith("ash-agent-")
        # The end of a gate's name stands for the run too: what is before it says what it judges.
        stem = _HASH.sub("", plain(name))
        deeds[f"{stem} started"] += 1
    deeds["agents started again"] += sum(count - 1 for count in names.values())
    world = ground.world
    if isinstance(world, LocalWorld):
        pulls = world.forge.pulls("widgets")
        deeds["pull requests"] += len(pulls)
        deeds["merges"] += sum(one.merged_sha is not None for one in pulls)
        for one in pulls:
            deeds["comments"] += sum(said.ours for said in world.said(one.number))
    if isinstance(world, GithubWorld):
        path = r"/repos/[^/]+/[^/]+"
        deeds["pull requests"] += world.double.count("POST", f"{path}/pulls", landed=True)
        deeds["merges"] += world.double.count("PUT", rf"{path}/pulls/\d+/merge", landed=True)
        deeds["comments"] += world.double.count("POST", rf"{path}/issues/\d+/comments", landed=True)
        deeds["comments"] += world.double.count("POST", rf"{path}/pulls/\d+/comments(?:/\d+/replies)?", landed=True)
    return deeds


def _left(ground: Ground, run_id: str, plain: Any) -> set[str]:
    left = {f"sandbox {plain(name)}" for name in ground.engine.there(run_id)}
    state = ground.state
    for path in state.rglob("*"):
        name = path.relative_to(state).as_posix()
        # Git leaves empty directories of refs behind as it likes.
        if not _IGNORED.fullmatch(name) and not (path.is_dir() and "/refs/" in name):
            left.add(f"file {plain(name)}")
    left |= {f"claim of {plain(row[0])}" for row in _rows(state / "ashigaru.db", "select run_id from claims")}
    pending = "select workflow_uuid, status from workflow_status where status <> 'SUCCESS'"
    left |= {f"{status} {plain(name)}" for name, status in _rows(state / "engine.db", pending)}
    return left


def _rows(database: Path, query: str) -> list[Any]:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)
    try:
        return list(connection.execute(query))
    finally:
        connection.close()
