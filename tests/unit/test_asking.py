"""Ctrl-C ends a command that waits for the daemon, whatever the libraries beneath make of a cancellation."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from mcp_ashigaru.commands.asking import until_interrupted


def test_a_job_that_ends_by_itself_is_left_alone() -> None:
    done = []

    async def job() -> None:
        done.append(True)

    asyncio.run(until_interrupted(job()))
    assert done == [True]


def test_what_a_job_raises_is_raised() -> None:
    async def job() -> None:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        asyncio.run(until_interrupted(job()))


@pytest.mark.parametrize("deaf", [0, 1, 3])
def test_ctrl_c_ends_a_job_that_takes_cancellations_for_something_else(deaf: int) -> None:
    taken = []

    async def job() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                taken.append(True)
                if len(taken) > deaf:
                    raise

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(until_interrupted(job()))
    assert len(taken) == deaf + 1


def test_a_job_that_fails_while_it_is_let_go_of_is_interrupted_all_the_same() -> None:
    async def job() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("the connection is gone")

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(until_interrupted(job()))
