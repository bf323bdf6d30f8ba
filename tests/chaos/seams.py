"""Where the victim's fault points are: around its ports' deeds, and at the seams of its adapters."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

import mcp_ashigaru.daemon
import runner.files
from runner import ladder
from runner.adapters.dbos_rounds import DbosRounds
from runner.adapters.forge_operator import ForgeOperator
from runner.adapters.git_checkouts import GitCheckouts
from runner.adapters.git_command import GitCommand
from runner.adapters.git_process import Running
from runner.adapters.github_forge import GithubForge
from runner.adapters.local_forge import LocalForge
from runner.adapters.sql_following import SqlFollowing
from runner.adapters.sql_moments import SqlMoments
from runner.adapters.sql_receipts import ReceiptedRecords, SqlReceipts
from runner.adapters.sql_records import SqlRecords
from runner.adapters.sql_slots import SqlSlots
from runner.closing import Closing
from runner.engine import Engine as RoundEngine
from runner.follower import Follower
from runner.pool import Pool
from runner.recovering import Recovery
from runner.restarting import Restarter
from runner.service import Service
from runner.taking_over import TakeOver
from runner.unasked import Unasked
from runner.waits import PatientRounds
from tests.chaos.points import Points

CONTAINERS = ("ready", "start", "status", "output", "stop", "remove", "listing")
_CHECKOUTS = ("refresh", "clone", "export", "changes", "commit", "diff", "graft", "merge", "push", "remove", "read")
_FORGE = ("remote", "default_branch", "open_pull", "ready", "pull", "checks", "check_log", "set_check", "say", "merge")
_RECORDS = (
    "claim",
    "reclaim",
    "release",
    "change",
    "touch",
    "save_round",
    "begin_attempt",
    "append_events",
    "end_attempt",
    "save_judgement",
    "save_checks",
    "notify",
    "take_up",
    "answered",
)
_RECEIPTS = ("begin", "settle", "record", "recover")
_SERVICE = ("work_ticket", "request_changes", "cancel", "retry", "promote")
_WRITE = re.compile(
    r"\s*(INSERT INTO|INSERT OR IGNORE INTO|UPDATE|DELETE FROM)\s+(?:main\.)?[\"']?(\w+)", re.IGNORECASE
)
_OURS = re.compile(r"\d+|[0-9a-f]{12,}")
_KEPT = {"tree", "in", "out", "launched", "canary", "prompt.txt", "launch.json", "exit.json"}
_ABOVE = {"runs", "s", "clones", "mirrors", "git"}


def install(points: Points) -> None:
    """Have this process pass fault points from now on. Once a process; nothing of it is taken back."""
    _deeds(points)
    _files(points)
    _git(points)
    _databases(points)
    _requests(points)
    _door_of_git(points)


def _deeds(points: Points) -> None:
    for owner, port, names in (
        (GitCheckouts, "checkouts", _CHECKOUTS),
        (LocalForge, "forge", _FORGE),
        (GithubForge, "forge", _FORGE),
        (SqlReceipts, "receipts", _RECEIPTS),
        (DbosRounds, "rounds", ("submit", "begin", "hasten", "fence")),
        (SqlSlots, "slots", ("ready", "take", "hold", "leave")),
        (SqlMoments, "moments", ("keep", "forget")),
        (Pool, "pool", ("submit", "ended", "due", "settle", "give_to")),
        (PatientRounds, "waits", ("submit", "_over")),
        (Recovery, "recovery", ("recover", "look")),
        (TakeOver, "taking over", ("take_over",)),
        (Restarter, "restarting", ("again",)),
        (Unasked, "unasked", ("set_aside", "_ask", "told")),
        (Service, "service", _SERVICE),
        (Closing, "closing", ("remove_sandboxes", "clear", "close", "go_on", "sweep")),
    ):
        for name in names:
            points.around(owner, name, lambda *_, deed=f"{port}.{name}", **__: deed)
    for name in _RECORDS:
        # Where it is defined, so that a class which adds to it has its own passage around it.
        for owner in (ReceiptedRecords, SqlRecords, SqlFollowing):
            if name in vars(owner):
                points.around(owner, name, lambda *_, deed=f"records.{name}", **__: deed)
                break
        else:
            raise AttributeError(f"the records have no {name}; it has moved, and its fault points must follow")
    points.around(RoundEngine, "carry_out", lambda _self, _round, step: f"step {step.kind}")
    points.around(Follower, "_do", lambda _self, _run, deed, *_: f"follow {type(deed).__name__.lower()}")
    points.around(ForgeOperator, "report", lambda *_, **__: "")
    # The next step is asked for once the last fact is on record.
    real = ladder.advance

    def advance(state: Any, fact: Any) -> Any:
        points.passed(f"fact {fact.kind} recorded")
        return real(state, fact)

    ladder.advance = advance


def containers_of(points: Points, containers: Any) -> None:
    """Have the calls of the container engine be deeds."""
    for name in CONTAINERS:
        points.around(containers, name, lambda *_, deed=f"containers.{name}", **__: deed)


def _files(points: Points) -> None:
    def shape(path: Path, *_: Any, **__: Any) -> str:
        if path.name in _KEPT:
            return path.name
        above = path.parent.name
        return f"{above}/*" if above in _ABOVE else "of a run"

    for name in ("remove_tree", "write_whole"):
        real = getattr(runner.files, name)
        points.around(runner.files, name, lambda *args, deed=name, **__: f"files.{deed} {shape(*args)}")
        for module in [one for one in sys.modules.values() if getattr(one, name, None) is real]:
            setattr(module, name, getattr(runner.files, name))


def _git(points: Points) -> None:
    begin, finish = GitCommand._start, Running.finish

    def started(self: GitCommand, task: Any, stack: Any) -> Running:
        points.seam(f"git {task.arguments[0]} before")
        running = begin(self, task, stack)
        points.seam(f"git {task.arguments[0]} within")
        return running

    def finished(self: Running) -> tuple[int, str]:
        told = finish(self)
        points.seam(f"git {self._task.arguments[0]} after")
        return told

    GitCommand._start = started  # type: ignore[method-assign]
    Running.finish = finished  # type: ignore[method-assign]


def _databases(points: Points) -> None:
    """Around each commit of something written; named by what was written last."""
    real = Connection._commit_impl

    def seen(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        found = _WRITE.match(statement)
        if found:
            connection.info["wrote"] = f"{found[1].lower()} {found[2].lower()}"

    def commit(self: Connection) -> None:
        wrote = self.info.pop("wrote", None)
        if wrote is None:
            return real(self)
        points.seam(f"commit of {wrote} before")
        real(self)
        return points.seam(f"commit of {wrote} after")

    def undone(connection: Connection) -> None:
        connection.info.pop("wrote", None)

    event.listen(Engine, "before_cursor_execute", seen)
    event.listen(Engine, "rollback", undone)
    Connection._commit_impl = commit  # type: ignore[method-assign]


def _requests(points: Points) -> None:
    """Around each HTTP request that writes: GitHub's, and those of podman's client."""
    real = requests.Session.send

    def send(self: requests.Session, request: Any, **kwargs: Any) -> Any:
        if request.method in {"GET", "HEAD"}:
            return real(self, request, **kwargs)
        path = str(request.url).partition("://")[2].partition("/")[2].partition("?")[0]
        name = f"http {request.method} {_shape(path)}"
        points.seam(f"{name} before")
        answer = real(self, request, **kwargs)
        points.seam(f"{name} after")
        return answer

    requests.Session.send = send  # type: ignore[method-assign]


def _shape(path: str) -> str:
    parts = [part for part in path.split("/") if part not in {"api", "v3", "repos", "libpod"}]
    return "/".join("*" if _OURS.search(part) or part.startswith("ash") else part for part in parts[-3:])


def _door_of_git(points: Points) -> None:
    """Around what the local forge does with a push."""
    real = mcp_ashigaru.daemon.git_http_app

    def made(*args: Any, **kwargs: Any) -> Any:
        app = real(*args, **kwargs)

        async def served(scope: Any, receive: Any, send: Any) -> None:
            pushed = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith("receive-pack")
            if pushed:
                points.passed("local forge: a push before")
            await app(scope, receive, send)
            if pushed:
                points.passed("local forge: a push after")

        return served

    mcp_ashigaru.daemon.git_http_app = made
