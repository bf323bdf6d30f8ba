"""Which gates judge a tree: the file at the base commit, else what the repository's files show. Pure."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shlex
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from gates.spec import GATE_FILE, parse_gate_file

__all__ = ["GATE_FILE", "Gate", "GatePlan", "NoGate", "SetupPlan", "plan", "setup_script", "shell_script"]

Read = Callable[[str], bytes | None]

OUT: Final = "/ashigaru/out"
VENV: Final = "/ashigaru/env/venv"
_PYTHON_MANIFESTS: Final = ("pyproject.toml", "requirements*.txt", "setup.py", "setup.cfg", "uv.lock", "poetry.lock")


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
        """Those of `paths` that key the result; a pattern without a slash is matched at the top only."""
        return tuple(sorted(path for path in paths if any(fnmatch.fnmatchcase(path, one) for one in self.manifests)))


@dataclass(frozen=True, kw_only=True)
class GatePlan:
    """How a tree is judged. image None: the operator's default. Gates run in order; the first red one ends it."""

    image: str | None
    setup: SetupPlan | None
    gates: tuple[Gate, ...]
    environment: tuple[tuple[str, str], ...]

    def digest(self) -> str:
        """Sixty-four hex digits that change with anything in the plan."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode("utf-8")).hexdigest()


@dataclass(frozen=True, kw_only=True)
class NoGate:
    """Nothing says how to judge this repository; reason is a sentence with the cure."""

    reason: str


def plan(gate_file: bytes | None, paths: Sequence[str], read: Read) -> GatePlan | NoGate:
    """The plan of a commit with these paths. Raises BadGateSpec where its gate file is wrong."""
    if gate_file is not None:
        return _from_file(gate_file)
    if _is_python(paths):
        return _python(paths, read)
    return NoGate(
        reason=f"The repository has no gate: put a {GATE_FILE} with a [[gate]] on its base branch (see docs/gates.md)."
    )


def shell_script(plan: GatePlan, gate: Gate) -> str:
    """What `sh -c` runs for one gate."""
    return "\n".join((*_preamble(plan), f"exec sh -c {shlex.quote(gate.run)}"))


def setup_script(plan: GatePlan, setup: SetupPlan) -> str:
    """What `sh -c` runs for the set-up: every command, stopping at the first that fails."""
    return "\n".join(("set -e", *_preamble(plan), *setup.commands))


def _preamble(plan: GatePlan) -> tuple[str, ...]:
    exports = tuple(f"export {name}={shlex.quote(value)}" for name, value in plan.environment)
    return (*exports, f'if [ -d {VENV}/bin ]; then export PATH="{VENV}/bin:$PATH"; fi', "cd /workspace")


def _from_file(data: bytes) -> GatePlan:
    told = parse_gate_file(data)
    setup = None
    if told.setup is not None:
        manifests = tuple(told.setup.manifests) or _PYTHON_MANIFESTS
        setup = SetupPlan(commands=tuple(told.setup.run), manifests=manifests, timeout_s=told.setup.timeout_s)
    return GatePlan(
        image=told.image,
        setup=setup,
        gates=tuple(Gate(name=one.name, run=one.run, junit=one.junit, timeout_s=one.timeout_s) for one in told.gate),
        environment=tuple(sorted(told.environment.items())),
    )


# --- Python --------------------------------------------------------------------------------------------------


def _is_python(paths: Sequence[str]) -> bool:
    top = {"pyproject.toml", "pytest.ini", "setup.py", "setup.cfg", "tox.ini", "conftest.py"}
    return any(path in top for path in paths) or any(_is_test(path) for path in paths)


def _is_test(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return fnmatch.fnmatchcase(name, "test_*.py") or fnmatch.fnmatchcase(name, "*_test.py")


def _python(paths: Sequence[str], read: Read) -> GatePlan | NoGate:
    if not any(_is_test(path) for path in paths):
        return NoGate(
            reason=f"The repository has no tests to judge by: add some, or a {GATE_FILE} with a [[gate]] (docs/gates.md)."
        )
    requirements = [path for path in paths if fnmatch.fnmatchcase(path, "requirements*.txt") and "/" not in path]
    wanted = _dependencies(read("pyproject.toml"))
    installs = [f"-r {shlex.quote(path)}" for path in requirements if _says_something(read(path))]
    installs += [shlex.quote(one) for one in wanted]
    setup = None
    if installs:
        setup = SetupPlan(
            commands=(
                f"python3 -m venv --system-site-packages {VENV}",
                f"{VENV}/bin/python -m pip install --quiet {' '.join(installs)}",
            ),
            manifests=_PYTHON_MANIFESTS,
            timeout_s=900,
        )
    roots = "src:." if any(path.startswith("src/") for path in paths) else "."
    return GatePlan(
        image=None,
        setup=setup,
        gates=(
            Gate(
                name="test",
                run=f"python3 -m pytest -p no:cacheprovider -o junit_family=xunit2 --junitxml={OUT}/junit-test.xml",
                junit="junit-test.xml",
                timeout_s=900,
            ),
        ),
        environment=(("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONPATH", roots)),
    )


def _dependencies(pyproject: bytes | None) -> list[str]:
    """`[project] dependencies`, the ones that are words; a broken file asks for nothing and fails in the gate."""
    if pyproject is None:
        return []
    try:
        told = tomllib.loads(pyproject.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return []
    project = told.get("project")
    listed = project.get("dependencies") if isinstance(project, dict) else None
    return [one for one in listed if isinstance(one, str)][:200] if isinstance(listed, list) else []


def _says_something(requirements: bytes | None) -> bool:
    lines = (requirements or b"").decode("utf-8", "replace").splitlines()
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)
