"""What git is told on its way to a forge, what it tells of it when that is away, and where the credential never is."""

from __future__ import annotations

import base64
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import Receive, Scope, Send

from runner.adapters.git_command import GitCommand, checked_origin
from runner.adapters.git_process import GitTask
from runner.errors import CheckoutFault, ForgeDown
from runner.model import Remote
from tests.contract.checkouts_rig import Rig, a_write, committed
from tests.git_rig import ENVIRONMENT, SECRET, served

BASIC = base64.b64encode(f"ashigaru:{SECRET}".encode()).decode()


def test_a_forge_that_is_away_is_down_and_says_so_in_one_sentence(rig: Rig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ForgeDown) as caught:
        rig.checkouts.refresh("acme/widgets", Remote(url=f"http://127.0.0.1:{port}/forge/x.git"))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_wrong_password_is_not_in_the_error(rig: Rig) -> None:
    wrong = Remote(url=rig.remote.url, username="ashigaru", password="hunter2-wrong")
    with pytest.raises(ForgeDown) as caught:
        rig.checkouts.refresh("acme/widgets", wrong)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)


def test_a_password_that_the_remote_sends_back_is_not_in_the_error(rig: Rig) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"WWW-Authenticate": "Basic"} if "authorization" not in Headers(scope=scope) else None
        answer = PlainTextResponse(f"you said {SECRET}, or {BASIC}", 401 if headers else 403, headers)
        await answer(scope, receive, send)

    with served(echo) as url:
        remote = replace(rig.remote, url=f"{url}/forge/acme/widgets.git")
        with pytest.raises(ForgeDown) as caught:
            rig.checkouts.refresh("acme/widgets", remote)
    assert "you said ***, or ***" in str(caught.value)


def test_the_password_is_in_no_argument_environment_or_file(rig: Rig, started: list[str]) -> None:
    head = rig.prepare()
    candidate = committed(rig, head, a_write("a", b"1"))
    rig.checkouts.push("run-1", rig.remote, candidate.commit, "work")
    ours = [said for said in started if "http-backend" not in said]
    assert len(ours) > 10
    assert all(SECRET not in said for said in started)
    assert all(SECRET.encode() not in file.read_bytes() for file in rig.root.rglob("*") if file.is_file())


@pytest.fixture
def started() -> Iterator[list[str]]:
    """Every argument and variable given to a process that is started during the test."""
    seen: list[str] = []
    _WATCHERS.append(seen)
    yield seen
    _WATCHERS.remove(seen)


_WATCHERS: list[list[str]] = []


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen":
        for seen in _WATCHERS:
            seen.append(repr(arguments[1:]))


# An audit hook stays for the life of the process; with no watcher it does nothing.
sys.addaudithook(_watch)


def test_git_starts_from_an_empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_TOKEN", "leak")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "alias.leak")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "!env")
    command = GitCommand(tmp_path / "home", timeout_s=30)
    shown = command.run(GitTask(arguments=("-c", "alias.seen=!env", "seen"), deed="look")).text()
    assert "FORGE_TOKEN" not in shown
    assert "GIT_CONFIG_KEY_0" not in shown
    assert f"HOME={tmp_path / 'home'}" in shown.splitlines()


def test_a_command_ends_at_its_deadline_with_all_that_it_started(tmp_path: Path) -> None:
    command = GitCommand(tmp_path / "home", timeout_s=0.5)
    stuck = GitTask(arguments=("-c", "alias.stuck=!sleep 600 & sleep 600", "stuck"), deed="wait")
    with pytest.raises(CheckoutFault) as caught:
        command.run(stuck)
    assert "0.5 s" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c id",
        "ssh://host/x",
        "git://host/x",
        "/local/path",
        "file://host/x",
        "https://user:pw@host/x",
        "https://host",
        "--upload-pack=id",
        "https://host/x?y",
        "https://[::1/x",
        "http://host/a b",
        "",
    ],
)
def test_a_remote_is_http_or_a_file_without_a_credential(url: str) -> None:
    with pytest.raises(CheckoutFault):
        checked_origin(Remote(url=url))


def test_a_redirect_does_not_take_the_credential_along(rig: Rig) -> None:
    asked: list[str] = []

    async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append(scope["path"])
        await PlainTextResponse("", 401, {"WWW-Authenticate": "Basic"})(scope, receive, send)

    with served(elsewhere) as other:

        async def first(scope: Scope, receive: Receive, send: Send) -> None:
            await RedirectResponse(f"{other}{scope['path']}?service=git-upload-pack")(scope, receive, send)

        with served(first) as url:
            remote = Remote(url=f"{url}/forge/acme/widgets.git", username="a", password=SECRET)
            with pytest.raises(ForgeDown):
                rig.checkouts.refresh("acme/widgets", remote)
    assert asked == []


def test_git_on_this_host_is_new_enough() -> None:
    done = subprocess.run(["git", "merge-tree", "-h"], env=ENVIRONMENT, capture_output=True, check=False)
    assert b"--write-tree" in done.stdout + done.stderr
