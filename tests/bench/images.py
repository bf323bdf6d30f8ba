"""The agent's image with a scripted agent in Claude Code's place."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

SCRIPTED: Final = "localhost/ashigaru/bench-agent:latest"
_AGENT: Final = Path(__file__).with_name("agent.sh")


def scripted_agent(podman: Sequence[str], agent_image: str) -> str:
    """Build it on the real one, without a network; its reference."""
    with tempfile.TemporaryDirectory(prefix="ash") as context:
        shutil.copy(_AGENT, Path(context) / "claude")
        recipe = f"FROM {agent_image}\nCOPY --chmod=755 claude /usr/local/bin/claude\n"
        (Path(context) / "Containerfile").write_text(recipe, encoding="utf-8")
        command = [*podman, "build", "--quiet", "--network=none", "--pull=never", "--tag", SCRIPTED, context]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return SCRIPTED
