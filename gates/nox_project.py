"""A Python repository whose only word on its tests is nox's: its sessions made by the set-up, used sealed. Pure.

A session may install the project, which would be the base's: the set-up takes out again whatever came from the
repository itself, and what is judged is found by its path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from gates.ecosystem import ENV, TIMEOUT_S, Gate, Read

NOX_MANIFESTS: Final = ("noxfile.py",)
_MAX_BYTES: Final = 1024 * 1024
_SAYS: Final = re.compile(rb"^@[\w.]{0,80}\bsession\b", re.MULTILINE)
_SESSIONS: Final = f"{ENV}/nox"
_WORK: Final = "/tmp/nox"  # noqa: S108 - inside the sandbox
_RUN: Final = "nox --non-interactive --no-error-on-missing-interpreters"
# What pip installed from a directory or a file says so (PEP 610), in place or as a copy.
_FROM_FILES: Final = (
    "import importlib.metadata as m; "
    '[print(d.name) for d in m.distributions() if "file:" in (d.read_text("direct_url.json") or "")]'
)


def nox_gate(paths: Sequence[str], read: Read) -> Gate | None:
    """The sessions that nox runs unasked; None where there are none."""
    if not any(_SAYS.search((read(path) or b"")[:_MAX_BYTES]) for path in NOX_MANIFESTS if path in paths):
        return None
    # nox writes beside what it reads. It has no report; what it runs prints its counts.
    run = f"cp -a {_SESSIONS} {_WORK} && {_RUN} -R --envdir {_WORK}"
    return Gate(name="test", run=run, junit=None, timeout_s=TIMEOUT_S, printed=True)


def nox_setup(venv: str) -> tuple[str, ...]:
    """Makes nox and its sessions with what each installs, the repository's own code excepted."""
    taken_out = (
        f"\"$one\" -I -c '{_FROM_FILES}' >/tmp/from-files || exit $?; "
        'while read -r name; do "$one" -I -m pip uninstall --quiet --yes "$name" || exit $?; done </tmp/from-files'
    )
    return (
        f"python3 -I -m venv --system-site-packages {venv}",
        f"{venv}/bin/python -I -m pip install --quiet --no-input nox",
        f"{venv}/bin/{_RUN} --install-only --envdir {_SESSIONS}",
        f"for one in {_SESSIONS}/*/bin/python; do {taken_out}; done",
    )
