"""Services that a gate needs beside it (a database, a queue): what a repository may ask for, and how it is waited for.

Each is a sandbox of its own in the gate's pod, which has loopback and no other network, so the gate reaches it at
127.0.0.1 and nothing else does.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

NOT_READY: Final = "ashigaru-not-ready"
"""Name of the file below /ashigaru/out that holds the name of the service that did not come up."""
NOT_READY_EXIT: Final = 75


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service. run: a shell command in its image, None for what the image runs by itself.

    ready: a shell command in the gate's image that succeeds once the service can be used, None where that does not
    matter. writable: directories that it writes to, each of scratch memory. memory: bytes.
    """

    name: str
    image: str
    run: str | None
    environment: tuple[tuple[str, str], ...]
    writable: tuple[str, ...]
    ready: str | None
    ready_timeout_s: int
    memory: int


def waiting_script(services: tuple[Service, ...], out: str) -> tuple[str, ...]:
    """Lines of `sh` that return when every service is ready, or leave with NOT_READY_EXIT and say which one is not."""
    return tuple(_wait(service, out) for service in services if service.ready is not None)


def _wait(service: Service, out: str) -> str:
    tries = service.ready_timeout_s * 5
    late = f"printf %s {shlex.quote(service.name)} > {out}/{NOT_READY}; exit {NOT_READY_EXIT}"
    # No clock that the base image may lack: so many tries, a fifth of a second apart.
    return (
        f"ash_tries=0; until sh -c {shlex.quote(service.ready or 'true')} >/dev/null 2>&1; do "
        f"ash_tries=$((ash_tries + 1)); if [ $ash_tries -ge {tries} ]; then {late}; fi; sleep 0.2; done"
    )
