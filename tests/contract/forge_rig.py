"""The forges that the contract is run on, each with the other side's hands: people, their CI, the forge's owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import sqlalchemy as sa

from runner.adapters.forge_store import SqlForgeStore
from runner.adapters.forge_tables import define_forge_tables
from runner.adapters.git_http import git_http_app
from runner.adapters.local_forge import LocalForge
from runner.errors import Rejected, UnknownRepo
from runner.model import CheckState, Pull, PullDraft, RequiredCheck, ReviewedHead
from runner.ports import Forge
from runner.remarks import Stance
from tests.git_rig import SECRET, commit_all, git, make_repository, served, write

REPO = "acme/widgets"
START = 1_700_000_000.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """One check as somebody's CI reports it; the same source and name again is a later run of the same check."""

    name: str
    state: CheckState
    source: str
    summary: str = ""
    log: str = ""


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """What a visitor of the pull request sees was said. answers: what began the thread that it is in, or None."""

    body: str
    ours: bool
    answers: str | None = None


@dataclass(frozen=True, kw_only=True)
class Unworkable:
    """A repository that `default_branch` refuses with `fault`, whose text has `cure` in it."""

    repo: str
    fault: type[Rejected]
    cure: str


@dataclass(frozen=True, kw_only=True)
class Others:
    """What others than ourselves do in `acme/widgets`. A pull request goes by its number; its lines are of the head.

    person: who comments and reviews; has write access. ci, other_ci: two sources of checks; what `ci` reports may have
    a log. said: oldest first; a body of ours may have more around it than was given. strangers: everybody comments
    who is told apart from people that may ask (bots, passers-by); gives what they wrote, nothing where there are none.
    forks: opens a pull request from each kind of fork; their numbers, none where there are no forks.
    unworkable: one repository of every kind that cannot be worked here.
    """

    person: str
    ci: str
    other_ci: str
    comment: Callable[[int, str], None]
    comment_line: Callable[[int, str, int, str], None]
    review: Callable[[int, Stance, str], None]
    said: Callable[[int], tuple[Spoken, ...]]
    strangers: Callable[[int], tuple[str, ...]]
    report: Callable[[str, Report], None]
    require: Callable[[str, tuple[str, ...]], None]
    label: Callable[[int, str], None]
    labels: Callable[[int], frozenset[str]]
    close: Callable[[int], None]
    forks: Callable[[], tuple[int, ...]]
    unworkable: Callable[[], tuple[Unworkable, ...]]


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A forge that holds `acme/widgets`, a person's work tree of it, and what others do there.

    again: the same forge after a restart of the daemon. source: of our own checks. push: what is checked out in `work`
    becomes that branch; its commit. tip: what a branch is at on the forge.
    """

    forge: Forge
    again: Callable[[], Forge]
    source: str
    others: Others
    work: Path
    push: Callable[[str], str]
    tip: Callable[[str], str | None]

    def branch(self, name: str, **files: str) -> str:
        """A pushed branch off the pushed main with these files changed; its commit."""
        git(self.work, "checkout", "--quiet", "-B", name, "main")
        write(self.work, files)
        commit_all(self.work, f"work on {name}")
        return self.push(name)

    def main(self, **files: str) -> str:
        """A pushed commit on main; its id."""
        git(self.work, "checkout", "--quiet", "main")
        write(self.work, files)
        commit_all(self.work, "on main")
        return self.push("main")

    def opened(self, *, is_draft: bool = False, labels: tuple[str, ...] = ()) -> Pull:
        """A pull request of the branch `work`, which changes the one line of the file `a`."""
        self.branch("work", a="changed\n")
        return self.forge.open_pull(draft(is_draft=is_draft, labels=labels))

    def reviewed(self, pull: Pull) -> ReviewedHead:
        """The proof that promotion would make for the pull request as it is."""
        listed = git(self.work, "merge-tree", "--write-tree", pull.base_sha, pull.head_sha, check=False)
        return ReviewedHead(
            repo=pull.repo,
            pull=pull.number,
            head_sha=pull.head_sha,
            base_sha=pull.base_sha,
            tree=listed.splitlines()[0],
        )


def draft(
    head: str = "work", *, title: str = "Fix it", is_draft: bool = False, labels: tuple[str, ...] = ()
) -> PullDraft:
    """A pull request of `head` onto main."""
    return PullDraft(
        repo=REPO, head_branch=head, base_branch="main", title=title, body="Why.", draft=is_draft, labels=labels
    )


def source(tmp_path: Path) -> Path:
    """A person's work tree, with the files `a` and `b` on main."""
    work = tmp_path / "work"
    make_repository(work, {"a": "one\n", "b": "two\n"})
    return work


# --- the local forge -------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Local:
    """The parts of a local forge, for the tests that are about it alone."""

    forge: LocalForge
    store: SqlForgeStore
    root: Path
    engine: sa.Engine


def local_parts(tmp_path: Path, base_url: str) -> Local:
    """An empty local forge, whose clock goes on by a second whenever it is looked at."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'forge.db'}", connect_args={"timeout": 30})
    metadata = sa.MetaData()
    define_forge_tables(metadata)
    metadata.create_all(engine)
    store = SqlForgeStore(engine, metadata)
    root = tmp_path / "forge"
    seconds = count(START)
    forge = LocalForge(root, store, base_url, SECRET, timeout_s=60, now=lambda: next(seconds))
    return Local(forge=forge, store=store, root=root, engine=engine)


@contextmanager
def local(tmp_path: Path) -> Iterator[Rig]:
    """The built-in forge; its operator is everybody else."""
    work = source(tmp_path)
    with served(git_http_app(tmp_path / "forge", SECRET)) as url:
        parts = local_parts(tmp_path, url)
        parts.forge.add(str(work), REPO)
        bare = parts.root / f"{REPO}.git"

        def push(branch: str) -> str:
            git(work, "push", "--quiet", "--force", str(bare), f"HEAD:refs/heads/{branch}")
            return git(work, "rev-parse", "HEAD")

        def tip(branch: str) -> str | None:
            return git(bare, "rev-parse", "--quiet", "--verify", f"refs/heads/{branch}", check=False) or None

        yield Rig(
            forge=parts.forge,
            again=lambda: LocalForge(parts.root, SqlForgeStore(parts.engine), url, SECRET, timeout_s=60),
            source="ashigaru",
            others=local_others(parts.forge),
            work=work,
            push=push,
            tip=tip,
        )
        parts.engine.dispose()


def local_others(forge: LocalForge) -> Others:
    """All done with the commands of the people on the host."""
    operator = forge.operator

    def comment(number: int, text: str) -> None:
        operator.comment(REPO, number, text, author="ann")

    def comment_line(number: int, path: str, line: int, text: str) -> None:
        operator.comment(REPO, number, text, path=path, line=line, author="ann")

    def review(number: int, stance: Stance, text: str) -> None:
        operator.review(REPO, number, stance, text, author="ann")

    def said(number: int) -> tuple[Spoken, ...]:
        told = operator.talk(REPO, number).said
        bodies = {one.remark.id: one.remark.body for one in told}
        return tuple(
            Spoken(body=one.remark.body, ours=one.ours, answers=bodies[one.answers] if one.answers else None)
            for one in told
        )

    def report(sha: str, told: Report) -> None:
        operator.report(
            REPO, sha, told.name, told.state, source=told.source, summary=told.summary, log=told.log.encode()
        )

    return Others(
        person="ann",
        ci="local-ci",
        other_ci="another-ci",
        comment=comment,
        comment_line=comment_line,
        review=review,
        said=said,
        strangers=lambda _number: (),
        report=report,
        require=lambda branch, names: operator.require(REPO, branch, tuple(RequiredCheck(name=n) for n in names)),
        label=lambda number, name: operator.label(REPO, number, name),
        labels=lambda number: frozenset(operator.talk(REPO, number).labels),
        close=lambda number: operator.close(REPO, number),
        forks=lambda: (),
        unworkable=lambda: (Unworkable(repo="acme/nothing", fault=UnknownRepo, cure="forge add"),),
    )


FORGES: dict[str, Callable[[Path], AbstractContextManager[Rig]]] = {"local": local}
