"""`.ashigaru.toml`: what a repository says of its own gates. Read at the base commit, never at the head.

The format is documented in docs/gates.md.
"""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gates.errors import BadGateSpec
from gates.text import clean

GATE_FILE: Final = ".ashigaru.toml"
MAX_FILE_BYTES: Final = 64 * 1024
MAX_VARIABLES: Final = 50
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,499}")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
# A command that is only white space would exit 0 and judge nothing; a NUL cannot be passed to a shell.
_COMMAND: Final = re.compile(r"(?=.*\S)[^\0]{1,2000}", re.DOTALL)
_PATTERN: Final = re.compile(r"(?!/)[^\0]{1,200}")
_DIRECTORY: Final = re.compile(r"(?!.*/\.\.(?:/|$))(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,60}){1,6}")
_VALUE: Final = re.compile(r"[^\0]{0,2000}")


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(what)
        return value

    return AfterValidator(check)


Command = Annotated[str, _matching(_COMMAND, "must be a shell command of 1 to 2000 characters")]
Pattern = Annotated[str, _matching(_PATTERN, "must be a path pattern of 1 to 200 characters, from the top")]
Variable = Annotated[str, _matching(_VARIABLE, "must be named as shell variables are")]
Value = Annotated[str, _matching(_VALUE, "must be at most 2000 characters")]
Directory = Annotated[str, _matching(_DIRECTORY, "must be an absolute path without .. of at most 200 characters")]
Seconds = Annotated[int, Field(ge=1, le=7200)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SetupSection(_Section):
    """`[setup]`: commands run once on the base commit's files, with egress to the operator's named hosts.

    manifests: patterns of the files whose content keys the result; empty: those that say what Python needs.
    """

    run: Annotated[list[Command], Field(min_length=1, max_length=20)]
    manifests: Annotated[list[Pattern], Field(max_length=50)] = []
    timeout_s: Seconds = 600


class GateSection(_Section):
    """`[[gate]]`: one sealed command. junit: name of its JUnit report below /ashigaru/out."""

    name: Annotated[str, _matching(_NAME, "must be 1 to 40 of a-z, 0-9 and -")]
    run: Command
    junit: Annotated[str, _matching(_FILE, "must be a plain file name")] | None = None
    timeout_s: Seconds = 600


class ServiceSection(_Section):
    """`[[service]]`: a sandbox beside every gate, reached at 127.0.0.1. Its image must be one the operator allows.

    ready: a command in the gate's image that succeeds once it can be used. writable: directories of scratch memory.
    """

    name: Annotated[str, _matching(_NAME, "must be 1 to 40 of a-z, 0-9 and -")]
    image: Annotated[str, _matching(_IMAGE, "must be an image reference of at most 500 characters")]
    run: Command | None = None
    environment: Annotated[dict[Variable, Value], Field(max_length=MAX_VARIABLES)] = {}
    writable: Annotated[list[Directory], Field(max_length=8)] = []
    ready: Command | None = None
    ready_timeout_s: Annotated[int, Field(ge=1, le=600)] = 60
    memory_mb: Annotated[int, Field(ge=16, le=16384)] = 1024


class GateFile(_Section):
    """The whole file. environment: variables of the set-up and of every gate; no place for a secret.

    local: "none" says that no gate can run sealed here, and that the forge's CI alone vouches for a change.
    """

    local: Literal["sealed", "none"] = "sealed"
    image: Annotated[str, _matching(_IMAGE, "must be an image reference of at most 500 characters")] | None = None
    environment: Annotated[dict[Variable, Value], Field(max_length=MAX_VARIABLES)] = {}
    setup: SetupSection | None = None
    gate: Annotated[list[GateSection], Field(max_length=20)] = []
    service: Annotated[list[ServiceSection], Field(max_length=5)] = []


def parse_gate_file(data: bytes) -> GateFile:
    """The file's content, checked. Raises BadGateSpec with one sentence that names the key and the cure."""
    if len(data) > MAX_FILE_BYTES:
        raise BadGateSpec(f"the file is over {MAX_FILE_BYTES} bytes; keep long scripts in files of their own.")
    try:
        parsed = GateFile.model_validate(read_toml(data))
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        problem = first["msg"].removeprefix("Value error, ")
        raise BadGateSpec(f"{_key(first['loc'])}: {clean(problem, 200)}; docs/gates.md says what it may be.") from exc
    except ValueError as exc:
        raise BadGateSpec(f"it is not valid TOML ({clean(str(exc), 200)}); correct it on the base branch.") from exc
    if parsed.local == "none" and (parsed.gate or parsed.setup or parsed.service):
        raise BadGateSpec('local: "none" leaves the judging to CI; take out every [[gate]], [[service]] and [setup].')
    if parsed.local == "sealed" and not parsed.gate:
        raise BadGateSpec('gate: there is none; add a [[gate]], or say local = "none" to leave the judging to CI.')
    for kind, names in (("gate", [one.name for one in parsed.gate]), ("service", [one.name for one in parsed.service])):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BadGateSpec(f"{kind}.name: {twice} is there twice; give each {kind} a name of its own.")
    return parsed


def read_toml(data: bytes) -> dict[str, Any]:
    """TOML that somebody else wrote. Raises ValueError for everything that it cannot be read as."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except RecursionError as exc:
        raise ValueError("it is nested too deep") from exc


def _key(place: tuple[int | str, ...]) -> str:
    """The key as the file's author knows it: `gate.2.run` counts gates from 1."""
    parts = [str(part + 1) if isinstance(part, int) else part for part in place if part != "[key]"]
    return clean(".".join(parts), 120) or "the file"
