"""What every test gets: no credential, no home, no network but loopback; and real podman where `make test` gave it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.postgres import Cluster, backends, cluster, programs
from tests.sandbox.podman_lab import PodmanLab, opened_lab

_KEPT = ("ASHIGARU_TEST_", "ASHIGARU_REQUIRE_")
_SCRUBBED = ("ASHIGARU_", "ANTHROPIC_", "CLAUDE_", "GH_", "GITHUB_", "GIT_", "DBOS_")


def pytest_addoption(parser: pytest.Parser) -> None:
    """For `scripts/suite`."""
    parser.addoption("--failed-to", type=Path, help="a file to name those in that failed, a line each")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Those that failed, for whoever gives them a second try; of several workers the one that collects tells it."""
    told: Path | None = config.getoption("failed_to")
    if told is not None:
        failed = [one for word in ("failed", "error") for one in terminalreporter.stats.get(word, ())]
        told.write_text("".join(f"{name}\n" for name in dict.fromkeys(one.nodeid for one in failed)), encoding="utf-8")


_FAST_STORY = "tests/story/test_main_job.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`make check` has a minute: whole stories and contracts run with `make test`, the main job's with both."""
    for item in items:
        where = item.nodeid.partition("::")[0]
        if where.startswith(("tests/story/", "tests/contract/")) and where != _FAST_STORY:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True, scope="session")
def poisoned_defaults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A test that forgets to choose finds an empty home and no token."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(_SCRUBBED) and not name.startswith(_KEPT):
                patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("XDG_STATE_HOME", raising=False)
        # No test speaks TLS with anybody; reading the host's authorities costs each HTTP client more than its calls.
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("authorities")))
        patch.setattr(socket.socket, "connect", _only_here(socket.socket.connect))
        yield


def _only_here(connect):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the socket's own signature
    def guarded(self, address):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        if self.family in {socket.AF_INET, socket.AF_INET6} and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            raise AssertionError(f"a test reached for {address[0]}; tests talk to loopback only")
        return connect(self, address)

    return guarded


def pytest_report_header() -> str:
    """Which databases the contracts are held to is said, not guessed from what is missing."""
    where = programs()
    return "databases: SQLite alone, PostgreSQL is not installed" if where is None else f"databases: SQLite, {where}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL of this process's own."""
    with cluster() as running:
        yield running


@pytest.fixture(params=backends())
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on SQLite and once on PostgreSQL where that is here."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ashigaru.db"
    server: Cluster = request.getfixturevalue("postgres")
    return server.schema()


@pytest.fixture
def podman_host() -> Iterator[PodmanLab]:
    """Real rootless podman; the test must leave no container, pod, mount or socket behind."""
    with opened_lab() as lab:
        yield lab
