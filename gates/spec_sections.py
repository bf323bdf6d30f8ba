"""The sections of a gate file, each with what it may hold. docs/gates.md describes them.

The JSON schema is made of them. What concerns several sections at once is checked in `gates.spec`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from gates.policy import DEFAULT_RETRIES, MAX_RETRIES

MAX_VARIABLES: Final = 50
_SEGMENT: Final = r"(?!\.{1,2}(?:/|$))[^\x00-\x1f\x7f/]+"
# A name alone must not begin with a dash: it would be taken for an option.
_IMAGE: Final = r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,499}"
_NAME: Final = r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
_FILE: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_VARIABLE: Final = r"[A-Za-z_][A-Za-z0-9_]{0,99}"
# A command that is only white space would exit 0 and judge nothing; a NUL cannot be passed to a shell.
_COMMAND: Final = r"(?=[^\x00]*\S)[^\x00]{1,2000}"
_PATTERN: Final = r"(?!/)[^\x00]{1,200}"
_BELOW: Final = rf"(?=.{{1,200}}$){_SEGMENT}(?:/{_SEGMENT})*"
# Not what the kernel or the sandbox itself puts there: the engine refuses the one, and the other is not the service's.
_SCRATCH: Final = r"(?!/(?:proc|sys|dev|ashigaru)(?:/|$))(?=.{1,200}$)(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+"
_VALUE: Final = r"[^\x00]{0,2000}"


@dataclass(frozen=True)
class _Matching:
    """A string that as a whole is as the expression says. what: the rule, after the key."""

    expression: str
    what: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        pattern = re.compile(self.expression)

        def check(value: str) -> str:
            if not pattern.fullmatch(value):
                raise ValueError(self.what)
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # The expressions are written in what Python and ECMA-262 have in common.
        return {**handler(schema), "pattern": f"^(?:{self.expression})$"}


Command = Annotated[str, _Matching(_COMMAND, "must be a shell command of 1 to 2000 characters")]
Image = Annotated[
    str,
    _Matching(
        _IMAGE, "must be an image reference of 1 to 500 characters, without white space or what a shell would read"
    ),
]
Name = Annotated[str, _Matching(_NAME, "must be 1 to 40 of a-z, 0-9 and -")]
ReportName = Annotated[str, _Matching(_FILE, "must be a plain file name")]
Pattern = Annotated[str, _Matching(_PATTERN, "must be a path pattern of 1 to 200 characters, from the top")]
Below = Annotated[str, _Matching(_BELOW, "must be 1 to 200 characters, from the top, without a first or last /, ..")]
Variable = Annotated[str, _Matching(_VARIABLE, "must be named as shell variables are")]
Value = Annotated[str, _Matching(_VALUE, "must be at most 2000 characters")]
ScratchDirectory = Annotated[
    str,
    _Matching(
        _SCRATCH,
        "must be an absolute path of at most 200 characters, without .., and not in /proc, /sys, /dev or /ashigaru",
    ),
]
Environment = Annotated[
    dict[Variable, Value], Field(max_length=MAX_VARIABLES, json_schema_extra={"additionalProperties": False})
]
Seconds = Annotated[int, Field(ge=1, le=7200)]
Word: TypeAlias = Literal["fail", "needs_human", "show"]
"""The values of `findings.Weight`."""
Runner: TypeAlias = Literal["pytest", "node", "jest", "vitest", "mocha", "go", "cargo", "maven", "gradle", "none"]
"""The values of `test_runners.TestRunner`, and that it is none of them."""


class Section(BaseModel):
    """What all of them keep to: no key that is not known, no value of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SetupSection(Section):
    """`[setup]`: commands run once on the base commit's files, with egress to the operator's named hosts.

    manifests: patterns of the files whose content keys the result; empty: those that say what Python and Node need.
    """

    run: Annotated[list[Command], Field(min_length=1, max_length=20)]
    manifests: Annotated[list[Pattern], Field(max_length=50)] = []
    timeout_s: Seconds = 600


class GateSection(Section):
    """`[[gate]]`: one sealed command. junit: name of its report below /ashigaru/out.

    printed: where it leaves no report, the counts that its test runner prints are its evidence. runner: whose tests it
    runs; left out, the one that the command names. directory: where it runs, left out: at the top. paths: it is asked
    only of changes that touch one of these. needs: gates that must be green before it begins. required false: what it
    says is shown, and decides nothing.
    """

    name: Name
    run: Command
    junit: ReportName | None = None
    printed: bool = False
    runner: Runner | None = None
    timeout_s: Seconds = 600
    image: Image | None = None
    directory: Below | None = None
    environment: Environment = {}
    paths: Annotated[list[Below], Field(max_length=50)] = []
    needs: Annotated[list[Name], Field(max_length=20)] = []
    required: bool = True


class ReviewerSection(Section):
    """`[[reviewer]]`: a sealed command that reports findings below /ashigaru/out, which are shown.

    blocking: its exit status and its report decide as a gate's do.
    """

    name: Name
    run: Command
    report: ReportName
    format: Literal["sarif", "json"] = "sarif"
    timeout_s: Seconds = 600
    blocking: bool = False


class ServiceSection(Section):
    """`[[service]]`: a sandbox beside every gate, reached at 127.0.0.1. Its image must be one the operator allows.

    ready: a command in the gate's image that succeeds once it can be used. writable: directories of scratch memory.
    """

    name: Name
    image: Image
    run: Command | None = None
    environment: Environment = {}
    writable: Annotated[list[ScratchDirectory], Field(max_length=8)] = []
    ready: Command | None = None
    ready_timeout_s: Annotated[int, Field(ge=1, le=600)] = 60
    memory_mb: Annotated[int, Field(ge=16, le=4096)] = 1024


class PolicySection(Section):
    """`[policy]`: what a finding of each kind does to a verdict that would be green, and how a judgement goes on."""

    require_reproducer: bool = False
    allow_red_base: bool = False
    keep_going: bool = False
    retries: Annotated[int, Field(ge=0, le=MAX_RETRIES)] = DEFAULT_RETRIES
    tests_gone: Word | None = Field(default=None, alias="tests-gone")
    newly_skipped: Word | None = Field(default=None, alias="newly-skipped")
    tests_changed: Word | None = Field(default=None, alias="tests-changed")
    tests_edited: Word | None = Field(default=None, alias="tests-edited")
    runner_changed: Word | None = Field(default=None, alias="runner-changed")
    installed_changed: Word | None = Field(default=None, alias="installed-changed")
    inline_tests: Word | None = Field(default=None, alias="inline-tests")
    assertions_gone: Word | None = Field(default=None, alias="assertions-gone")
    aware_of_tests: Word | None = Field(default=None, alias="aware-of-tests")
    special_cases: Word | None = Field(default=None, alias="special-cases")
    uncovered: Word | None = None
    flaky: Word | None = None
    flaky_before: Word | None = Field(default=None, alias="flaky-before")
    no_reproducer: Word | None = Field(default=None, alias="no-reproducer")
    reproduced: Word | None = None
    unproven_report: Word | None = Field(default=None, alias="unproven-report")
    status_alone: Word | None = Field(default=None, alias="status-alone")
    advisory: Word | None = None
