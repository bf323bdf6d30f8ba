"""What podman-py and what it stands on raise, and which of our faults each means."""

from __future__ import annotations

import errno
import http.client
import re

import podman.errors
import requests.exceptions
import urllib3.exceptions

from runner.errors import DiskLow, EngineDown, ImageMissing, RunnerError, SandboxFault

NO_IMAGE = "A sandbox's image is not on this host; build the images and try again."


FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
"""What podman hands on of the kernel's words (strerror of ENOSPC and EDQUOT)."""


def translate(fault: Exception) -> RunnerError:
    """The fault of ours that a fault of the library or its transport means."""
    match fault:
        case podman.errors.ImageNotFound():
            return ImageMissing(NO_IMAGE)
        case podman.errors.APIError() if fault.status_code is None:
            return EngineDown("Podman does not answer; see that its service runs and try again.")
        case podman.errors.APIError() if FULL.search(str(fault.explanation)):
            return DiskLow("Podman's storage is full; free some space, for example of images that nobody needs")
        case podman.errors.APIError():
            return SandboxFault(f"Podman refused to do its work; its reason was: {short(fault.explanation)}")
        case OSError() if fault.errno in {errno.EMFILE, errno.ENFILE}:
            return EngineDown("No more files can be opened here to reach podman; raise the daemon's LimitNOFILE.")
        case requests.exceptions.RequestException() | urllib3.exceptions.HTTPError() | OSError():
            return EngineDown("Podman does not answer; see that its service runs and try again.")
        case _:
            return SandboxFault(f"Podman could not do its work; its reason was: {short(fault)}")


def short(reason: object) -> str:
    """The reason in one line of at most 300 characters."""
    return " ".join(str(reason).split())[:300] or "none given"


FAULTS = (
    podman.errors.APIError,
    podman.errors.DockerException,
    podman.errors.StreamParseError,
    http.client.HTTPException,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    ValueError,
)
"""Everything that podman-py and what it stands on raise; nothing else passes through it."""
