"""What a check left to read on GitHub: its log from wherever GitHub sends us, and never with our credential."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runner.model import Check, CheckState
from tests.contract.forge_rig import REPO, Report
from tests.contract.github_failing import Failing, failing
from tests.contract.github_rig import CI, report

MIB = 1024 * 1024
CUT = "[the log goes on: it was read only so far]"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Failing]:
    with failing(tmp_path) as made:
        yield made


@dataclass(kw_only=True)
class Store:
    """Another host, where GitHub keeps logs. authorizations: what each request carried of that header."""

    url: str = ""
    body: bytes = b"E  one is not two\n"
    authorizations: list[str | None] = field(default_factory=list)


@contextmanager
def log_store() -> Iterator[Store]:
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            store.authorizations.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.send_header("Content-Length", str(len(store.body)))
            self.end_headers()
            try:
                self.wfile.write(store.body)
            except ConnectionError:
                # The reader has enough.
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store.url = f"http://localhost:{server.server_address[1]}/log"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def store() -> Iterator[Store]:
    with log_store() as made:
        yield made


def failed(hub: Failing, store: Store) -> Check:
    """A failed job of Actions whose log is on the other host."""
    head = hub.branch("work", a="changed\n")
    hub.others.report(head, Report(name="test", state=CheckState.FAILED, source=CI, log="kept elsewhere"))
    hub.state.log_host = store.url
    (check,) = hub.forge.checks(REPO, head)
    return check


def test_a_log_on_another_host_is_asked_for_without_the_credential(hub: Failing, store: Store) -> None:
    assert hub.forge.check_log(REPO, failed(hub, store), 1000) == "E  one is not two\n"
    assert store.authorizations == [None]


def test_a_log_on_another_host_is_asked_for_without_what_a_netrc_says(
    hub: Failing, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login someone password secret\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert hub.forge.check_log(REPO, failed(hub, store), 1000) == "E  one is not two\n"
    assert store.authorizations == [None]


def test_of_a_log_over_the_bound_the_end_is_kept(hub: Failing, store: Store) -> None:
    store.body = b"".join(b"line %d\n" % n for n in range(300_000))
    told = hub.forge.check_log(REPO, failed(hub, store), 1000)
    assert len(told) == 1000
    assert told.endswith("line 299999\n")
    assert CUT not in told


def test_a_log_too_long_to_be_read_whole_says_that_it_goes_on(hub: Failing, store: Store) -> None:
    store.body = b"x" * (64 * MIB) + b"\n" + b"y" * (8 * MIB)
    told = hub.forge.check_log(REPO, failed(hub, store), 1000)
    assert len(told) <= 1000
    assert told.rstrip().endswith(CUT)


def test_a_log_of_just_the_most_that_is_read_says_nothing_of_going_on(hub: Failing, store: Store) -> None:
    store.body = b"x" * (64 * MIB - 4) + b"end\n"
    told = hub.forge.check_log(REPO, failed(hub, store), 1000)
    assert told.endswith("xend\n")


def test_a_check_run_without_a_log_tells_its_words_and_its_annotations(hub: Failing) -> None:
    head = hub.branch("work", a="changed\n")
    run = report(
        hub.state, hub.repo, head, Report(name="lint", state=CheckState.FAILED, source="linter", summary="2 found")
    )
    run.annotations += [
        {"path": "a.py", "start_line": 3, "end_line": 3, "annotation_level": "failure", "message": "unused name"},
        {"path": "b.py", "start_line": 7, "end_line": 9, "annotation_level": "warning", "message": "too long"},
    ]
    (check,) = hub.forge.checks(REPO, head)
    told = hub.forge.check_log(REPO, check, 1000)
    assert "2 found" in told
    assert told.endswith("a.py:3: unused name\nb.py:7: too long")
