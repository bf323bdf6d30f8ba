"""What git and podman could not do on this host is told as what it is, and blamed on nobody else."""

from __future__ import annotations

import errno
import os

import podman.errors
import pytest
import requests

from runner.adapters.git_process import GitTask
from runner.adapters.podman_faults import translate
from runner.errors import CheckoutFault, DiskLow, EngineDown, ForgeDown, SandboxFault
from runner.model import Remote

REMOTE = Remote(url="https://forge.example/widgets.git")


@pytest.mark.parametrize(
    ("said", "remote", "fault"),
    [
        ("fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output", REMOTE, DiskLow),
        ("fatal: sha1 file 'index.lock' write error. Out of diskspace", None, DiskLow),
        ("error: unable to create temporary file: Disk quota exceeded", None, DiskLow),
        ("remote: fatal: write error: No space left on device\nerror: unpack failed", REMOTE, ForgeDown),
        ("fatal: unable to create '/x.lock': Read-only file system", REMOTE, CheckoutFault),
        ("error: open objects/1: Too many open files", REMOTE, CheckoutFault),
        ("fatal: read error: Input/output error", None, CheckoutFault),
        ("fatal: unable to access: The requested URL returned error: 503", REMOTE, ForgeDown),
        ("fatal: bad object", None, CheckoutFault),
    ],
)
def test_what_git_says_of_this_hosts_disk_is_not_blamed_on_the_forge(
    said: str, remote: Remote | None, fault: type[Exception]
) -> None:
    raised = GitTask(arguments=("fetch",), deed="fetch", remote=remote).fault("why", said)
    assert type(raised) is fault


def api_error(status: int, text: str) -> podman.errors.APIError:
    answer = requests.Response()
    answer.status_code = status
    return podman.errors.APIError(text, response=answer, explanation=text)


@pytest.mark.parametrize(
    ("raised", "fault", "words"),
    [
        (api_error(500, 'mkdir "/storage/overlay/1": no space left on device'), DiskLow, "storage is full; free some"),
        (api_error(500, "write /x: disk quota exceeded"), DiskLow, "storage is full; free some space"),
        (api_error(500, "crun: cannot fork"), SandboxFault, "its reason was: crun: cannot fork"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), EngineDown, "raise the daemon's LimitNOFILE"),
        (OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)), EngineDown, "see that its service runs"),
        (requests.exceptions.ReadTimeout(), EngineDown, "see that its service runs"),
    ],
)
def test_what_podman_cannot_do_is_told_as_what_it_is(raised: Exception, fault: type[Exception], words: str) -> None:
    told = translate(raised)
    assert type(told) is fault
    assert words in str(told)
