"""One connection to GitHub: what is left of an answer that is not ready yet."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from runner.adapters.github_faults import Transient
from runner.adapters.github_line import Credential, GithubLine
from tests.loopback import listening

PATIENCE_S = 5.0
NOT_READY = b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def never_ready() -> Iterator[tuple[str, Future[bool]]]:
    """The address of a server that has one answer ready for nobody, and whether its client then hung up on it."""
    hung_up: Future[bool] = Future()

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(PATIENCE_S)
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += connection.recv(4096)
            connection.sendall(NOT_READY)
            try:
                hung_up.set_result(connection.recv(4096) == b"")
            except ConnectionResetError:
                hung_up.set_result(True)
            except TimeoutError:
                hung_up.set_result(False)

    with listening() as listener:
        server = threading.Thread(target=answer, daemon=True)
        server.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", hung_up
        server.join(2 * PATIENCE_S)


def test_the_connection_of_an_answer_that_is_not_ready_yet_is_closed() -> None:
    nobody = Credential(kind="token", secret="x", owner="nobody")
    with never_ready() as (url, hung_up):
        line = GithubLine(url, PATIENCE_S)
        # As long as the fault is held, so is the answer that it came of: nothing but a close ends the connection.
        with pytest.raises(Transient) as held:
            line.ask(nobody, "GET", "/repos/acme/widgets", {}, {}, None)
        assert hung_up.result(2 * PATIENCE_S)
        assert "still working" in str(held.value)
