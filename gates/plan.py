"""Which gates judge a tree: the file at the base commit, else what the repository's files show. Pure."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from gates.python_project import PYTHON_MANIFESTS, is_python, needs_of, tests_in
from gates.spec import GATE_FILE, parse_gate_file

__all__ = [
    "GATE_FILE",
    "OUT",
    "VENV",
    "WORKSPACE",
    "CiOnly",
    "Gate",
    "GatePlan",
    "NoGate",
    "Read",
    "SetupPlan",
    "plan",
    "setup_script",
    "shell_script",
]

Read = Callable[[str], bytes | None]
"""The content of a path at the commit that is planned for; None where there is no such file."""

WORKSPACE: Final = "/workspace"
OUT: Final = "/ashigaru/out"
VENV: Final = "/ashigaru/env/venv"
_TIMEOUT_S: Final = 900
_RULES: Final = 1
"""Bumped by hand when the judge's rules change, so that verdicts remembered under the old ones are asked for anew."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One sealed command. junit: name of the report it promises below /ashigaru/out, or None."""

    name: str
    run: str
    junit: str | None
    timeout_s: int


@dataclass(frozen=True, kw_only=True)
class SetupPlan:
    """What is run once on the base's files. manifests: path patterns whose files key its result."""

    commands: tuple[str, ...]
    manifests: tuple[str, ...]
    timeout_s: int

    def matching(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Those of `paths` that key the result; `*` stays within a directory, `requirements.txt` is the one on top."""
        return tuple(sorted(path for path in paths if any(_fits(path, one) for one in self.manifests)))


@dataclass(frozen=True, kw_only=True)
class GatePlan:
    """How a tree is judged. image None: the operator's default. Gates run in order; the first red one ends it."""

    image: str | None
    setup: SetupPlan | None
    gates: tuple[Gate, ...]
    environment: tuple[tuple[str, str], ...]

    def digest(self) -> str:
        """Sixty-four hex digits that change with anything in the plan, and with the rules it is judged by."""
        told = {"rules": _RULES, "plan": asdict(self)}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode("utf-8")).hexdigest()


@dataclass(frozen=True, kw_only=True)
class NoGate:
    """Nothing says how to judge this repository; reason is a sentence with the cure."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class CiOnly:
    """The repository says that no gate can run sealed: only the forge's CI judges it."""


def plan(gate_file: bytes | None, paths: Sequence[str], read: Read) -> GatePlan | CiOnly | NoGate:
    """The plan of a commit with these paths. Raises BadGateSpec where its gate file is wrong."""
    if gate_file is not None:
        return _from_file(gate_file)
    cure = f"put a {GATE_FILE} with a [[gate]] on its base branch (docs/gates.md)"
    if not is_python(paths):
        return NoGate(reason=f"The repository has no gate: {cure}.")
    if not tests_in(paths):
        return NoGate(reason=f"The repository has no tests to judge by: add some, or {cure}.")
    return _python(paths, read)


def shell_script(plan: GatePlan, gate: Gate) -> str:
    """What `sh -c` runs for one gate; its exit status is the gate's."""
    return "\n".join((*_preamble(plan), f"exec sh -c {shlex.quote(gate.run)}"))


def setup_script(plan: GatePlan, setup: SetupPlan) -> str:
    """What `sh -c` runs for the set-up: every command in a shell of its own, stopping at the first that fails."""
    return "\n".join(("set -e", *_preamble(plan), *(f"sh -c {shlex.quote(one)}" for one in setup.commands)))


def _preamble(plan: GatePlan) -> tuple[str, ...]:
    exports = tuple(f"export {name}={shlex.quote(value)}" for name, value in plan.environment)
    return (*exports, f'if [ -d {VENV}/bin ]; then export PATH="{VENV}/bin:$PATH"; fi', f"cd {WORKSPACE} || exit 126")


def _fits(path: str, pattern: str) -> bool:
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _from_file(data: bytes) -> GatePlan | CiOnly:
    told = parse_gate_file(data)
    if told.local == "none":
        return CiOnly()
    setup = None
    if told.setup is not None:
        manifests = tuple(told.setup.manifests) or PYTHON_MANIFESTS
        setup = SetupPlan(commands=tuple(told.setup.run), manifests=manifests, timeout_s=told.setup.timeout_s)
    return GatePlan(
        image=told.image,
        setup=setup,
        gates=tuple(Gate(name=one.name, run=one.run, junit=one.junit, timeout_s=one.timeout_s) for one in told.gate),
        environment=tuple(sorted(told.environment.items())),
    )


def _python(paths: Sequence[str], read: Read) -> GatePlan:
    needs = needs_of(paths, read)
    setup = None
    if needs.arguments:
        # -I: a file of the repository that is called as a module of pip's is not imported in its stead.
        setup = SetupPlan(
            commands=(
                f"python3 -I -m venv --system-site-packages {VENV}",
                f"{VENV}/bin/python -I -m pip install --quiet --no-input {shlex.join(needs.arguments)}",
            ),
            manifests=(*PYTHON_MANIFESTS, *needs.files),
            timeout_s=_TIMEOUT_S,
        )
    # Absolute, so that a test which changes directory or starts a program still finds the tree, not the set-up's copy.
    roots = [f"{WORKSPACE}/src"] if any(path.startswith("src/") for path in paths) else []
    return GatePlan(
        image=None,
        setup=setup,
        gates=(
            Gate(
                name="test",
                run=f"python3 -m pytest -p no:cacheprovider -o junit_family=xunit2 --junitxml={OUT}/junit-test.xml",
                junit="junit-test.xml",
                timeout_s=_TIMEOUT_S,
            ),
        ),
        environment=(("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONPATH", ":".join((*roots, WORKSPACE)))),
    )
