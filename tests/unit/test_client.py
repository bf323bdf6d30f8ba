"""A call of the daemon: which authorities it asks for, and what it says where nobody answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mcp_ashigaru.client import DaemonAway, connect


def called(url: str) -> None:
    async def once() -> None:
        async with connect(url, None):
            pass

    asyncio.run(once())


@pytest.fixture
def no_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads the authorities that this host trusts falls over a file that is not there."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))


@pytest.mark.usefixtures("no_authorities")
def test_a_call_without_tls_reads_no_authorities() -> None:
    with pytest.raises(DaemonAway, match="mcp-ashigaru serve"):
        called("http://127.0.0.1:1")


@pytest.mark.usefixtures("no_authorities")
def test_a_call_with_tls_trusts_the_authorities_of_the_host() -> None:
    with pytest.raises(FileNotFoundError):
        called("https://127.0.0.1:1")
