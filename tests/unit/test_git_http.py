from __future__ import annotations

import base64
import gzip
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from runner.adapters.git_http import GitHttpLimits, git_http_app
from tests.git_rig import SECRET, commit_all, git, make_repository, served, write

PASS = base64.b64encode(f"ashigaru:{SECRET}".encode()).decode()
FLUSH = b"0000"
# Without it, half an answer is not taken for a whole.
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Served:
    """One repository, `acme/widgets`, served under /forge. address: with the password in it, for a person's git."""

    url: str
    bare: Path
    work: Path
    tip: str

    @property
    def address(self) -> str:
        return f"{self.url.replace('://', f'://ashigaru:{SECRET}@')}/forge/acme/widgets.git"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Served]:
    work = tmp_path / "work"
    tip = make_repository(work, {"a": "one\n"})
    bare = tmp_path / "root/acme/widgets.git"
    git(tmp_path, "clone", "--quiet", "--bare", "--template=", str(work), str(bare))
    with served(git_http_app(tmp_path / "root", SECRET)) as url:
        yield Served(url=url, bare=bare, work=work, tip=tip)


def get(url: str, authorization: str | None = f"Basic {PASS}") -> httpx.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return httpx.get(url, headers=headers, timeout=20)


def test_git_clones_fetches_and_pushes(world: Served, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", world.address, "copy")
    copy = tmp_path / "copy"
    assert (copy / "a").read_text(encoding="utf-8") == "one\n"
    write(copy, {"b": "two\n"})
    pushed = commit_all(copy)
    git(copy, "push", "--quiet", "origin", "HEAD:refs/heads/side")
    assert git(world.bare, "rev-parse", "side") == pushed
    git(world.work, "fetch", "--quiet", world.address, "side")
    assert git(world.work, "rev-parse", "FETCH_HEAD") == pushed


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_every_version_of_the_protocol_is_spoken(world: Served, version: str) -> None:
    listed = git(world.work, "-c", f"protocol.version={version}", "ls-remote", world.address, "refs/heads/main")
    assert listed == f"{world.tip}\trefs/heads/main"


def test_a_large_push_arrives_in_chunks(world: Served) -> None:
    write(world.work, {"big": bytes(range(256)) * 16384})
    pushed = commit_all(world.work)
    git(world.work, "-c", "http.postBuffer=65536", "-c", "core.compression=0", "push", "-q", world.address, "HEAD:main")
    assert git(world.bare, "rev-parse", "main") == pushed


def test_a_gzipped_request_is_understood(world: Served) -> None:
    want = f"want {world.tip}\n".encode()
    body = b"%04x%s" % (len(want) + 4, want) + FLUSH + b"0009done\n"
    answer = httpx.post(
        f"{world.url}/forge/acme/widgets.git/git-upload-pack",
        content=gzip.compress(body),
        headers={
            "Authorization": f"Basic {PASS}",
            "Content-Type": "application/x-git-upload-pack-request",
            "Content-Encoding": "gzip",
        },
        timeout=20,
    )
    assert answer.status_code == 200
    assert b"PACK" in answer.content


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        f"Bearer {PASS}",
        "Basic " + base64.b64encode(b"ashigaru:wrong").decode(),
        "Basic " + base64.b64encode(f"root:{SECRET}".encode()).decode(),
        "Basic " + base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_nothing_is_answered_without_the_password(world: Served, authorization: str | None) -> None:
    for path in ("/forge/acme/widgets.git/info/refs?service=git-upload-pack", "/forge/nothing.git/x", "/"):
        answer = get(world.url + path, authorization)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert SECRET not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/forge/acme/nothing.git/info/refs",
        "/forge/acme/widgets/info/refs",
        "/forge/acme/widgets.git/HEAD",
        "/forge/acme/widgets.git/config",
        "/forge/acme/widgets.git/objects/info/packs",
        "/forge/acme/../acme/widgets.git/info/refs",
        "/forge/%2e%2e/root/acme/widgets.git/info/refs",
        "/forge/acme%2f..%2facme/widgets.git/info/refs",
        "/forge//acme/widgets.git/info/refs",
        "/forge/acme/widgets.git/info/refs%0a",
        "/forge/.hidden/widgets.git/info/refs",
        "/forge/acme/widgets.git/sub/x.git/info/refs",
        "/acme/widgets.git/info/refs",
        "/forge/acme/widgets.git%00/info/refs",
    ],
)
def test_only_git_s_services_of_repositories_are_found(world: Served, path: str) -> None:
    answer = raw(world.url, path + "?service=git-upload-pack")
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))


def raw(url: str, target: str) -> bytes:
    """The answer to a request whose path no client has tidied."""
    head = f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {PASS}\r\nConnection: close\r\n\r\n"
    return talk(url, head)


def talk(url: str, said: str, then: str = "") -> bytes:
    """What the server answers to these bytes; `then` is sent once it has begun to answer."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(said.encode())
        begun = connection.recv(65536)
        connection.sendall(then.encode())
        return begun + b"".join(iter(lambda: connection.recv(65536), b""))


def test_the_dumb_protocol_and_other_methods_are_refused(world: Served) -> None:
    base = f"{world.url}/forge/acme/widgets.git"
    assert get(f"{base}/info/refs").status_code == 403
    assert get(f"{base}/info/refs?service=git-upload-archive").status_code == 403
    assert get(f"{base}/git-upload-pack").status_code == 403
    headers = {"Authorization": f"Basic {PASS}"}
    assert httpx.put(f"{base}/git-receive-pack", headers=headers, timeout=20).status_code == 403
    assert httpx.post(f"{base}/git-receive-pack", headers=headers, timeout=20).status_code == 415


def test_hooks_and_monitors_of_a_repository_do_not_run(world: Served, tmp_path: Path) -> None:
    fired = tmp_path / "fired"
    for name in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction", "push-to-checkout"):
        write(world.bare / "hooks", {name: f"#!/bin/sh\ntouch {fired}\n"})
        (world.bare / "hooks" / name).chmod(0o755)
    write(world.work, {"b": "two\n"})
    commit_all(world.work)
    git(world.work, "push", "--quiet", world.address, "HEAD:main")
    assert not fired.exists()


def test_a_forge_s_own_refs_are_not_pushed_to(world: Served) -> None:
    git(world.work, "push", "--quiet", world.address, "HEAD:refs/pull/1/head", check=False)
    assert git(world.bare, "for-each-ref", "refs/pull") == ""


def test_a_run_may_rewind_its_own_branch(world: Served) -> None:
    write(world.work, {"b": "two\n"})
    commit_all(world.work)
    git(world.work, "push", "--quiet", world.address, "HEAD:work")
    git(world.work, "push", "--quiet", "--force", world.address, f"{world.tip}:work")
    assert git(world.bare, "rev-parse", "work") == world.tip


@pytest.mark.usefixtures("world")
def test_an_app_that_is_mounted_answers_under_its_mount(tmp_path: Path) -> None:
    inner = git_http_app(tmp_path / "root", SECRET, prefix="/git")
    with served(Starlette(routes=[Mount("/git", app=inner)])) as url:
        answer = get(f"{url}/git/acme/widgets.git/info/refs?service=git-upload-pack")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-git-upload-pack-advertisement"


def posted(said: str, length: int) -> str:
    """A request to fetch, of which `said` has been sent and `length` bytes were announced."""
    return (
        "POST /forge/acme/widgets.git/git-upload-pack HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Basic {PASS}\r\nContent-Type: application/x-git-upload-pack-request\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n{said}"
    )


def test_a_body_over_the_limit_is_cut_off(world: Served, tmp_path: Path) -> None:
    small = git_http_app(tmp_path / "root", SECRET, limits=GitHttpLimits(body_bytes=1000))
    write(world.work, {"big": bytes(range(256)) * 400})
    commit_all(world.work)
    with served(small) as url:
        address = world.address.replace(world.url.removeprefix("http://"), url.removeprefix("http://"))
        git(world.work, "push", "--quiet", address, "HEAD:main", check=False)
        answer = talk(url, posted("0", 1001), then="0" * 1000)
    assert git(world.bare, "rev-parse", "main") == world.tip
    assert not answer.endswith(LAST_CHUNK)


@pytest.mark.usefixtures("world")
def test_a_request_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    hasty = git_http_app(tmp_path / "root", SECRET, limits=GitHttpLimits(request_s=0.3))
    with served(hasty) as url:
        assert not talk(url, posted("0", 100_000)).endswith(LAST_CHUNK)


@pytest.mark.usefixtures("world")
def test_too_many_requests_wait_and_are_then_turned_away(tmp_path: Path) -> None:
    narrow = git_http_app(tmp_path / "root", SECRET, limits=GitHttpLimits(requests=0, queue_s=0.05))
    with served(narrow) as url:
        answer = get(f"{url}/forge/acme/widgets.git/info/refs?service=git-upload-pack")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
