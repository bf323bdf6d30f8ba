"""What a process of its own comes to of which a thing is taken away that no test can lack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).parents[2]
_PATIENCE_S = 110.0


def lived_through(program: str, *arguments: str, prefix: tuple[str, ...] = ()) -> dict[str, Any]:
    """What that module of tests.fakes prints. prefix: the command line before its own."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", f"tests.fakes.{program}", *arguments],
        cwd=_PROJECT,
        env={**os.environ, "PYTHONPATH": str(_PROJECT)},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    return told
