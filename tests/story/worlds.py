"""The forge's other side, for stories that run on every forge there is: people who talk, and a CI that reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr

from runner.adapters.local_forge import LocalForge
from runner.model import CheckState, RequiredCheck
from runner.remarks import Stance
from tests.fakes.github.double import GitHubDouble
from tests.fakes.github.running import running_double
from tests.fakes.hasty_clock import HastyClock
from tests.story.house import Foreman, House, git

CI = "github-actions"
BOT = "ashigaru-bot"


@dataclass(frozen=True, kw_only=True)
class Comment:
    """Something said on a pull request. answers: id of the remark whose thread it is in."""

    body: str
    ours: bool
    answers: str | None = None


class World(Protocol):
    """One repository on a forge, called `repo`, as its people and its CI see it."""

    repo: str

    def daemon(self, house: House) -> AbstractContextManager[Foreman]:
        """A daemon of that house on this forge, with the repository there."""

    def report(self, sha: str, name: str, state: CheckState, log: str = "") -> None:
        """CI says so of a commit."""

    def require(self, *names: str) -> None:
        """Main requires these checks."""

    def comment(self, number: int, text: str) -> str:
        """A person with write access says something; the remark's id."""

    def line(self, number: int, path: str, line: int, text: str) -> str:
        """The same, at a line of the diff."""

    def review(self, number: int, stance: Stance, text: str) -> str:
        """The same, as a review."""

    def said(self, number: int) -> list[Comment]:
        """Everything said on the pull request, oldest first."""

    def close(self, number: int) -> None:
        """A person closes the pull request."""

    def draft(self, number: int) -> bool:
        """Whether it is a draft."""

    def labels(self, number: int) -> tuple[str, ...]:
        """Its labels, sorted."""

    @property
    def bare(self) -> Path:
        """The repository as git has it on the forge."""


@dataclass(kw_only=True)
class LocalWorld:
    """The built-in forge."""

    source: Path
    repo: str = "widgets"
    _forge: LocalForge | None = field(default=None, repr=False)
    _root: Path | None = None

    @property
    def forge(self) -> LocalForge:
        assert self._forge is not None, "the daemon is not up"
        return self._forge

    @contextmanager
    def daemon(self, house: House) -> Iterator[Foreman]:
        house.changes = FOLLOWED | house.changes
        with house.daemon() as foreman:
            self._forge = foreman.daemon.forge
            self._root = house.state / "forge" / f"{self.repo}.git"
            self.forge.add(str(self.source), self.repo)
            yield foreman

    def report(self, sha: str, name: str, state: CheckState, log: str = "") -> None:
        self.forge.operator.report(self.repo, sha, name, state, source=CI, log=log.encode("utf-8"))

    def require(self, *names: str) -> None:
        self.forge.operator.require(self.repo, "main", tuple(RequiredCheck(name=name) for name in names))

    def comment(self, number: int, text: str) -> str:
        return self.forge.operator.comment(self.repo, number, text)

    def line(self, number: int, path: str, line: int, text: str) -> str:
        return self.forge.operator.comment(self.repo, number, text, path=path, line=line)

    def review(self, number: int, stance: Stance, text: str) -> str:
        return self.forge.operator.review(self.repo, number, stance, text)

    def said(self, number: int) -> list[Comment]:
        told = self.forge.operator.talk(self.repo, number).said
        return [Comment(body=one.remark.body, ours=one.ours, answers=one.answers) for one in told]

    def close(self, number: int) -> None:
        self.forge.operator.close(self.repo, number)

    def draft(self, number: int) -> bool:
        pull = self.forge.pull(self.repo, number)
        assert pull is not None
        return pull.draft

    def labels(self, number: int) -> tuple[str, ...]:
        return self.forge.operator.talk(self.repo, number).labels

    @property
    def bare(self) -> Path:
        assert self._root is not None, "the daemon is not up"
        return self._root


@dataclass(kw_only=True)
class GithubWorld:
    """GitHub, as the double has it; the daemon is a machine user with a token, and ann has write access."""

    double: GitHubDouble
    token: str
    repo: str = "acme/widgets"

    @contextmanager
    def daemon(self, house: House) -> Iterator[Foreman]:
        house.changes = (
            FOLLOWED
            | {
                "forge": "github",
                "github_url": f"{self.double.origin}/api/v3",
                "github_token": SecretStr(self.token),
            }
            | house.changes
        )
        # How long its client waits before it asks again is held by that client's own tests.
        house.clock = house.clock or HastyClock()
        with house.daemon() as foreman:
            yield foreman

    def report(self, sha: str, name: str, state: CheckState, log: str = "") -> None:
        conclusion = {CheckState.PASSED: "success", CheckState.FAILED: "failure", CheckState.STALLED: "cancelled"}
        self.double.check_run(
            self.repo,
            sha,
            name,
            status="in_progress" if state is CheckState.PENDING else "completed",
            conclusion=conclusion.get(state),
            app=CI,
            log=log or None,
        )

    def require(self, *names: str) -> None:
        self.double.protect(self.repo, "main", checks=names)

    def comment(self, number: int, text: str) -> str:
        return f"comment:{self.double.comment(self.repo, number, 'ann', text).id}"

    def line(self, number: int, path: str, line: int, text: str) -> str:
        return f"line:{self.double.line_comment(self.repo, number, 'ann', text, path=path, line=line).id}"

    def review(self, number: int, stance: Stance, text: str) -> str:
        return f"review:{self.double.review(self.repo, number, 'ann', stance.value.upper(), text).id}"

    def said(self, number: int) -> list[Comment]:
        repo = self.double.repo(self.repo)
        with self.double.state.lock:
            comments = [one for one in repo.comments.values() if one.number == number]
            lines = [one for one in repo.line_comments.values() if one.number == number]
        told = [(one.at, one.id, one.user, one.body, None) for one in comments]
        told += [(one.at, one.id, one.user, one.body, one.reply_to) for one in lines]
        return [
            Comment(body=body, ours=user == BOT, answers=None if thread is None else f"line:{thread}")
            for _, _, user, body, thread in sorted(told, key=lambda one: one[:2])
        ]

    def close(self, number: int) -> None:
        self.double.close(self.repo, number)

    def draft(self, number: int) -> bool:
        return self.double.pull(self.repo, number).draft

    def labels(self, number: int) -> tuple[str, ...]:
        return tuple(sorted(self.double.repo(self.repo).issues[number].labels))

    def hide(self) -> None:
        """To the machine user the repository is not there any more."""
        self.double.repo(self.repo).private = True
        del self.double.repo(self.repo).collaborators[BOT]

    def show(self) -> None:
        """It is there again."""
        self.double.repo(self.repo).private = False
        self.double.collaborator(self.repo, BOT, "write")

    @property
    def bare(self) -> Path:
        return self.double.path(self.repo)


@contextmanager
def local_world(source: Path, where: Path) -> Iterator[World]:  # noqa: ARG001 - every world is made so
    yield LocalWorld(source=source)


@contextmanager
def github_world(source: Path, where: Path) -> Iterator[GithubWorld]:
    where.mkdir()
    with running_double(where) as double:
        double.add_repo(GithubWorld.repo, source=source)
        for login in (BOT, "ann"):
            double.collaborator(GithubWorld.repo, login, "write")
        yield GithubWorld(double=double, token=double.token(BOT))


def tip(world: World, branch: str) -> str | None:
    """Where a branch is."""
    return git(world.bare, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None


FOLLOWED: dict[str, Any] = {"watch_s": 0.05, "review_settle_s": 0.0, "ci_grace_s": 3600.0}
"""Settings of a daemon that looks often, and for which checks may register for an hour."""

WORLDS: dict[str, Callable[[Path, Path], AbstractContextManager[World]]] = {
    "github": github_world,
    "local": local_world,
}
"""By name: what makes a world of a source repository, with a directory of its own to keep things in."""
