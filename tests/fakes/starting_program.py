"""A daemon that is started on a disk where nothing can be written, until somebody sees that it says so. Run by a story.

Arguments: the state directory, in which a daemon was before, and a port. Prints one JSON object: what /healthz said
while nothing could be written, and when it could; then the process is told to leave.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import httpx2

from mcp_ashigaru import serving
from mcp_ashigaru.daemon import Parts
from mcp_ashigaru.settings import load_settings
from tests.fakes.behaviours import exits
from tests.fakes.containers import FakeContainers
from tests.story.house import LADDER, FakeModel, NoEgress

_TRIES = 1000


def health(url: str, wanted: int) -> dict[str, Any]:
    """What /healthz says as soon as it answers with that status."""
    tick = threading.Event()
    for _ in range(_TRIES):
        try:
            answer = httpx2.get(f"{url}/healthz", timeout=5.0)
            if answer.status_code == wanted:
                return {"code": wanted, **answer.json()}
        except httpx2.HTTPError:
            pass
        tick.wait(0.02)
    return {"code": None}


def watch(url: str) -> None:
    """See it wait, free the disk, see it serve, and end it."""
    before = health(url, 503)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    after = health(url, 200)
    sys.stdout.write(json.dumps({"before": before, "after": after}) + "\n")
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGTERM)


def main(state: Path, port: int) -> None:
    """See the module."""
    logging.basicConfig(level=logging.WARNING)
    settings = load_settings(state_dir=state, port=port, ladder=LADDER, host_id="here")
    parts = Parts(containers=FakeContainers(lambda _: exits()), model=FakeModel(), egress=NoEgress())
    threading.Thread(target=watch, args=(settings.url,), daemon=True).start()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    serving.serve(settings, "streamable-http", parts)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
