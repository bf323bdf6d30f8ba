"""The ground of a run on real podman: the real agent's image on a cassette, a real gate, the local forge."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.engines import PodmanEngine
from tests.chaos.ground import Ground, Templates, free_port, local_world
from tests.chaos.scenarios import PROMOTED, REVIEWED, Scenario

PODMAN = "podman"
"""The name of its forge, in a place: the local one, with real sandboxes."""

_CASSETTE = """
version = 1
[[script]]
[[script.turn]]
[[script.turn.tool]]
name = "Read"
input = { file_path = "{cwd}/total.py" }
[[script.turn]]
[[script.turn.tool]]
name = "Edit"
input = { file_path = "{cwd}/total.py", old_string = "total = 0", new_string = "total = 1" }
[[script.turn]]
text = "Done."
"""
FILES = {
    "total.py": "total = 0\n",
    ".ashigaru.toml": '[[gate]]\nname = "test"\nrun = "grep -q total total.py"\n',
}
SEALED = Scenario(name="sealed", agents={}, goals=(REVIEWED, PROMOTED))


@contextmanager
def podman_ground(templates: Templates) -> Iterator[Ground]:
    """The ground of one run; what is left of it in podman afterwards is the run's residue, and is removed."""
    url = os.environ["ASHIGARU_TEST_PODMAN_URL"]
    with ExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="ash-", dir="/tmp", ignore_cleanup_errors=True)
        home = Path(stack.enter_context(made))
        shutil.copytree(templates.state(PODMAN), home / "s", symlinks=True)
        (home / "cassette.toml").write_text(_CASSETTE, encoding="utf-8")
        settings: dict[str, Any] = {
            "state_dir": str(home / "s"),
            "port": free_port(),
            "host_id": "here",
            "podman_url": url,
            "agent_image": os.environ["ASHIGARU_TEST_AGENT_IMAGE"],
            "relay_image": os.environ["ASHIGARU_TEST_RELAY_IMAGE"],
            "gate_image": os.environ["ASHIGARU_TEST_GATE_IMAGE"],
            "model_upstream": f"replay:{home / 'cassette.toml'}",
            "watch_s": 0.05,
            "ci_grace_s": 0.0,
        }
        world = local_world(stack, settings, templates.sources[PODMAN])
        yield Ground(
            home=home, scenario=SEALED, world=world, engine=PodmanEngine(url=url), settings=settings, socket=""
        )
