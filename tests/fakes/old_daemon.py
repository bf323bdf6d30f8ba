"""A daemon of another version, whose tree is on the path: starts a run, and is killed in the middle of its agent.

    old_daemon.py STATE_DIR SOURCE

Imports the other version's own stories, so it uses no more of them than any version has.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.story.scenes import RIGHT, held, house_of, passes_when


def main() -> None:
    state, source = sys.argv[1:3]
    agent = held(RIGHT)
    house = house_of(Path(state), {1: agent}, passes_when(RIGHT))
    with house.daemon() as foreman:
        foreman.daemon.forge.add(source, "widgets")
        first = foreman.work()
        assert agent.reached.wait(30)
        foreman.until(first, lambda told: bool(told["recent_actions"]))
        sys.stdout.write(f"{first}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
