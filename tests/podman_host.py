"""Where the tests find real podman. `make test` says it in the environment; plain `pytest` finds none."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

REQUIRED = "ASHIGARU_REQUIRE_PODMAN"


@dataclass(frozen=True, kw_only=True)
class PodmanHost:
    """Podman's API socket (`unix:///…`) and the images, by content-keyed reference."""

    url: str
    agent_image: str
    relay_image: str
    gate_image: str


def podman_or_reason() -> PodmanHost | str:
    """The podman to test on, or one sentence that says why there is none."""
    told = {name: os.environ.get(f"ASHIGARU_TEST_{name}", "") for name in _NAMES}
    if not told["PODMAN_URL"]:
        return os.environ.get("ASHIGARU_TEST_PODMAN_REASON") or "no podman was given to the tests; use `make test`."
    missing = [name for name in _NAMES if not told[name]]
    if missing:
        return f"ASHIGARU_TEST_{missing[0]} is not set; use `make test`, which sets it."
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5.0)
        try:
            client.connect(told["PODMAN_URL"].removeprefix("unix://"))
        except OSError as fault:
            return f"podman does not answer at {told['PODMAN_URL']} ({fault}); use `make test`, which starts it."
    return PodmanHost(
        url=told["PODMAN_URL"],
        agent_image=told["AGENT_IMAGE"],
        relay_image=told["RELAY_IMAGE"],
        gate_image=told["GATE_IMAGE"],
    )


def podman_is_required() -> bool:
    """Whether a missing podman is a failure and not a skip."""
    return os.environ.get(REQUIRED) == "1"


_NAMES = ("PODMAN_URL", "AGENT_IMAGE", "RELAY_IMAGE", "GATE_IMAGE")
