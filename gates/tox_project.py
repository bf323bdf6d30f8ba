"""A Python repository whose only word on its tests is tox's: its environments made by the set-up, used sealed. Pure.

The project itself is never installed in them, for that would be the base's: it is found by its path, as it is judged.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

from gates.ecosystem import ENV, TIMEOUT_S, Gate, Read

TOX_MANIFESTS: Final = ("tox.ini", "tox.toml")
_MAX_BYTES: Final = 1024 * 1024
_SAYS: Final = re.compile(
    rb"^\[(?:testenv|env_run_base|env\.)(?:(?!^\[)[\s\S]){0,20000}?^[ \t]{0,20}commands[ \t]{0,20}=", re.MULTILINE
)
_ENVIRONMENTS: Final = f"{ENV}/tox"
_WORK: Final = "/tmp/tox"  # noqa: S108 - inside the sandbox
_RUN: Final = "tox run --skip-pkg-install --skip-missing-interpreters true --workdir"
# tox keeps PYTHONPATH from what it runs, unless it is told not to; of the two sections each configuration has one.
_PATH: Final = "-x testenv.pass_env+=PYTHONPATH -x env_run_base.pass_env+=PYTHONPATH"


def tox_gate(paths: Sequence[str], read: Read) -> Gate | None:
    """Every environment of its list; None where tox is not told what to run."""
    if not any(_SAYS.search((read(path) or b"")[:_MAX_BYTES]) for path in TOX_MANIFESTS if path in paths):
        return None
    # tox writes beside what it reads. It prints the counts of what it runs, and has no report.
    run = f"cp -a {_ENVIRONMENTS} {_WORK} && {_RUN} {_WORK} --skip-env-install {_PATH}"
    return Gate(name="test", run=run, junit=None, timeout_s=TIMEOUT_S, printed=True)


def tox_setup(venv: str, needs: Sequence[str]) -> tuple[str, ...]:
    """Makes tox and its environments, and puts in each what the project needs: arguments of `pip install`."""
    made = (
        f"python3 -I -m venv --system-site-packages {venv}",
        f"{venv}/bin/python -I -m pip install --quiet --no-input tox",
        f"{venv}/bin/{_RUN} {_ENVIRONMENTS} --notest",
    )
    if not needs:
        return made
    install = f'"$one" -I -m pip install --quiet --no-input {shlex.join(needs)} || exit $?'
    return (*made, f"for one in {_ENVIRONMENTS}/*/bin/python; do {install}; done")
