"""`mcp-ashigaru demo`: the main job on the shipped repository, every part real but the model's words."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import httpx2
import typer
from git import Repo
from rich.console import Console
from rich.syntax import Syntax

import mcp_ashigaru
from mcp_ashigaru.client import CallRefused, DaemonAway, connect
from mcp_ashigaru.commands.live import follow
from mcp_ashigaru.settings import Settings, environment_with, load_settings
from mcp_ashigaru.stores import open_forge
from runner.errors import RunnerError

_UP_S: Final = 90.0
_JOB_S: Final = 600.0
_DOWN_S: Final = 15.0


class DemoFailed(Exception):
    """The demo came to nothing; one sentence that says what and what to do."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """The shipped repository, its issue and its scripted model."""

    repo: Path
    cassette: Path
    name: str
    title: str
    brief: str


def shipped() -> Story:
    """The demo that comes with the package, or stands beside it in a checkout."""
    package = Path(mcp_ashigaru.__file__).parent
    root = next((p for p in (package / "demo", package.parent / "demo") if (p / "issue.toml").is_file()), None)
    if root is None:
        raise DemoFailed("The demo's files are not installed; reinstall mcp-ashigaru or run this from a checkout.")
    told = tomllib.loads((root / "issue.toml").read_text(encoding="utf-8"))
    return Story(
        repo=root / "repo", cassette=root / "cassette.toml", name=told["repo"], title=told["title"], brief=told["brief"]
    )


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the demo's state directory in place.")] = False,
) -> None:
    """Run the main job on the shipped repository, with a scripted model, on this machine alone."""
    raise typer.Exit(run(keep=keep))


def run(*, keep: bool) -> int:
    """Run it; 0 if a pull request was merged from tier 2, else 1 after one sentence."""
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    try:
        story = shipped()
        state = Path.home() / ".local" / "state" / "ashigaru-demo"
        shutil.rmtree(state, ignore_errors=True)
        port = _free_port()
        settings = load_settings(
            state_dir=state, port=port, model_upstream=f"replay:{story.cassette}", host="127.0.0.1"
        )
        state.mkdir(parents=True, mode=0o700)
        issue = _furnish(settings, story, state)
        console.print(f"forge: {story.name} with issue {issue}: {story.title}")
        with _daemon(settings, state) as log:
            ended = asyncio.run(asyncio.wait_for(_job(settings, story, issue, console), _JOB_S))
            _check(ended, log)
            diff = open_forge(settings).diff(story.name, ended["pull"]["number"])
            console.print(Syntax(diff, "diff", background_color="default") if console.is_terminal else diff)
        seconds = time.monotonic() - began
        console.print(
            f"demo: ok run={ended['run_id']} pr={ended['pull']['url']} tier={ended['tier_number']} "
            f"seconds={seconds:.0f}"
        )
    except (DemoFailed, RunnerError, CallRefused, DaemonAway) as exc:
        sys.stderr.write(f"demo: {exc}\n")
        return 1
    except TimeoutError:
        sys.stderr.write(f"demo: not done within {_JOB_S:.0f} s; see daemon.log in the demo's state directory.\n")
        return 1
    if not keep:
        shutil.rmtree(state, ignore_errors=True)
    return 0


def _furnish(settings: Settings, story: Story, state: Path) -> int:
    """Make the shipped files a git repository, put it in the forge, open the issue."""
    work = state / "demo-repo"
    shutil.copytree(story.repo, work)
    with Repo.init(work, initial_branch="main") as repo:
        with repo.config_writer() as config:
            config.set_value("user", "name", "Demo")
            config.set_value("user", "email", "demo@localhost")
        repo.git.add("--all", ".")
        repo.git.commit("--quiet", "--no-verify", "-m", "The demo repository as it ships")
    forge = open_forge(settings)
    forge.add(str(work), story.name)
    return forge.create_issue(story.name, story.title, story.brief)


@contextmanager
def _daemon(settings: Settings, state: Path) -> Iterator[Path]:
    """The real daemon in a process of its own, up and answering."""
    log = state / "daemon.log"
    changes = {
        "ASHIGARU_MODEL_UPSTREAM": settings.model_upstream,
        "ASHIGARU_HOST": settings.host,
        "ASHIGARU_STATE_DIR": str(settings.state_dir),
        "ASHIGARU_PORT": str(settings.port),
    }
    with log.open("wb") as sink:
        daemon = subprocess.Popen(
            [sys.executable, "-P", "-m", "mcp_ashigaru"],
            stdout=sink,
            stderr=sink,
            stdin=subprocess.DEVNULL,
            env=environment_with(changes),
        )
        try:
            _await_health(settings.url, daemon, log)
            yield log
        finally:
            daemon.terminate()
            try:
                daemon.wait(_DOWN_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _await_health(url: str, daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _UP_S
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            raise DemoFailed(f"the daemon did not start: {_last_line(log)}")
        try:
            if httpx2.get(f"{url}/healthz", timeout=2.0).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.1)
    raise DemoFailed(f"the daemon did not answer within {_UP_S:.0f} s; run `mcp-ashigaru doctor`.")


async def _job(settings: Settings, story: Story, issue: int, console: Console) -> dict[str, Any]:
    """What a foreman does: dispatch, follow, promote."""
    say: Callable[[str], None] = lambda line: console.print(line, markup=False)  # noqa: E731
    async with connect(settings.url, settings.bearer) as caller:
        ticket = await caller.call("work_ticket", repo=story.name, issue=issue, brief=story.brief)
        say(f"run {ticket['run_id']}: {ticket['status']}")
        told = await follow(caller, ticket["run_id"], say, through_waits=False)
        if told["pull"] is None:
            return told
        answer = await caller.call("promote", repo=story.name, pr=told["pull"]["number"], head_sha=told["head_sha"])
        say(f"promote: {answer['detail']}")
        after = await caller.call("status", run_id=ticket["run_id"])
        tiers = [tier.name for tier in settings.ladder]
        return {**after, "promoted": answer["promoted"], "tier_number": tiers.index(after["tier"]) + 1}


def _check(ended: dict[str, Any], log: Path) -> None:
    if ended["pull"] is None:
        raise DemoFailed(f"the run ended as {ended['phase']}: {ended['reason'] or _last_line(log)}")
    if not ended["promoted"]:
        raise DemoFailed("the pull request was not merged; run it again with --keep and look at daemon.log.")
    if ended["tier_number"] != 2:
        raise DemoFailed(
            f"tier {ended['tier_number']} was merged where tier 2 should be; the gates did not do their work."
        )


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing; run `mcp-ashigaru doctor`."


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
