"""`.ashigaru.toml`: what a repository says of its own gates. Read at the base commit, never at the head.

The format is documented in docs/gates.md.
"""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from gates.errors import BadGateSpec

GATE_FILE: Final = ".ashigaru.toml"
MAX_FILE_BYTES: Final = 64 * 1024
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,499}")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(what)
        return value

    return AfterValidator(check)


Command = Annotated[str, Field(min_length=1, max_length=2000)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SetupSection(_Section):
    """`[setup]`: commands run once on the base commit's files, with egress to the operator's named hosts."""

    run: Annotated[list[Command], Field(min_length=1, max_length=20)]
    manifests: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(max_length=50)] = []
    timeout_s: Annotated[int, Field(ge=1, le=7200)] = 600


class GateSection(_Section):
    """`[[gate]]`: one sealed command. junit: name of its JUnit report below /ashigaru/out."""

    name: Annotated[str, _matching(_NAME, "must be 1 to 40 of a-z, 0-9 and -")]
    run: Command
    junit: Annotated[str, _matching(_FILE, "must be a plain file name")] | None = None
    timeout_s: Annotated[int, Field(ge=1, le=7200)] = 600


class GateFile(_Section):
    """The whole file."""

    image: Annotated[str, _matching(_IMAGE, "must be an image reference of at most 500 characters")] | None = None
    environment: dict[str, str] = {}
    setup: SetupSection | None = None
    gate: Annotated[list[GateSection], Field(min_length=1, max_length=20)]


def parse_gate_file(data: bytes) -> GateFile:
    """The file's content, checked. Raises BadGateSpec with one sentence that names the place."""
    if len(data) > MAX_FILE_BYTES:
        raise BadGateSpec(f"the file is over {MAX_FILE_BYTES} bytes; keep long scripts in files of their own.")
    try:
        told = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise BadGateSpec(f"it is not valid TOML ({exc}); correct it on the base branch.") from exc
    try:
        parsed = GateFile.model_validate(told)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        problem = first["msg"].removeprefix("Value error, ")
        raise BadGateSpec(f"{where}: {problem}; see docs/gates.md.") from exc
    names = [gate.name for gate in parsed.gate]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise BadGateSpec(f"gate.name: {twice} is there twice; give each gate its own name.")
    return parsed
