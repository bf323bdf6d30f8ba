"""What `cargo test` prints, read as evidence within bounds. Never raises for what it is given. Pure.

Rust's own harness writes no report, so its text is read: for each program `running N tests`, a line for each test, what
the failed ones printed, and `test result:` with its counts. The lines must add up to N and to those counts. What stands
between them, warnings of the compiler's and what tests print past the harness, is let go by.

A test is told from another by its program: the crate's name and the file that cargo names. A documentation test's line
number is no part of its name, for whoever edits the file above it moves it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from gates.evidence import (
    MAX_BYTES,
    MAX_CASES,
    MAX_NAME_CHARS,
    MAX_TEXT_CHARS,
    RED,
    BadReport,
    Case,
    CaseOutcome,
    Evidence,
    JUnit,
)

_PROGRAM: Final = re.compile(
    r" +Running (?:unittests )?(?P<file>\S{1,200})(?: \(\S*?/?(?P<crate>\w{1,100})-[0-9a-f]{16}(?:\.exe)?\))?"
    r"| +Doc-tests (?P<documented>\S{1,100})"
)
_CARGO: Final = re.compile(rb"^(?:running \d+ tests?| +(?:Running|Doc-tests|Compiling|Finished) )", re.MULTILINE)
_RUNNING: Final = re.compile(r"running (?P<number>\d{1,7}) tests?")
_RESULT: Final = re.compile(
    r"test result: (?P<word>ok|FAILED)\. (?P<passed>\d{1,7}) passed; (?P<failed>\d{1,7}) failed; "
    r"(?P<ignored>\d{1,7}) ignored; (?P<measured>\d{1,7}) measured; \d{1,7} filtered out(?:; finished in [\d.]+s)?"
)
_TEST: Final = re.compile(r"test (?P<name>\S.{0,1000}?) \.\.\. (?P<said>.*)")
_SAID: Final = re.compile(r"(?P<word>ok|FAILED|ignored|bench:)(?:,? .*)?")
_STDOUT: Final = re.compile(r"---- (?P<name>\S.{0,1000}?) stdout ----")
_MAX_LINE: Final = 2000
_LINE: Final = re.compile(r" \(line (?P<number>\d{1,9})\)")
_MANNER: Final = re.compile(r" - (?:should panic|compile fail|compile)$")
_OUTCOMES: Final = {"ok": CaseOutcome.PASSED, "FAILED": CaseOutcome.FAILED, "ignored": CaseOutcome.SKIPPED}


def is_libtest(data: bytes) -> bool:
    """Whether this is text in which Rust's harness, or cargo before it, has a word."""
    return _CARGO.search(data) is not None


def read_libtest(data: bytes) -> Evidence:
    """Every test of every program. A program that ended before its result is an error; counts that differ are bad."""
    if len(data) > MAX_BYTES:
        return BadReport(reason=f"its report is over {MAX_BYTES} bytes")
    log = _Log()
    # Lines are what the harness ends with a newline; what else breaks lines stands within a test's words.
    for line in data.decode("utf-8", "replace").split("\n"):
        log.take(line.removesuffix("\r"))
        if len(log.cases) + len(log.block) > MAX_CASES:
            return BadReport(reason=f"its report holds over {MAX_CASES} tests")
    log.cut_off()
    if log.differs is not None:
        return BadReport(reason=f"its report's lines do not add up to the counts of {log.differs}")
    return JUnit(cases=tuple(log.cases))


class _Log:
    """What the lines so far say; between `running` and `test result:` there is a block open."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.block: list[Case] = []
        self.differs: str | None = None
        self._program = ""
        self._expected: int | None = None
        self._halved: str | None = None
        self._telling = False
        self._told: dict[str, list[str]] = {}
        self._words: list[str] | None = None

    def take(self, line: str) -> None:
        """Note one line."""
        short = line[:_MAX_LINE]
        program, running, result = (one.fullmatch(short) for one in (_PROGRAM, _RUNNING, _RESULT))
        if self._expected is not None and result is not None:
            self._close(result)
        elif self._telling:
            self._tell(line, program is not None)
        elif program is not None:
            self.cut_off()
            self._program = _named(program)
        elif running is not None:
            self.cut_off()
            self._expected = int(running["number"])
        elif self._expected is not None:
            self._test(line)

    def cut_off(self) -> None:
        """The program that was running is over without a word on how it ended."""
        if self._expected is not None:
            reason = "The program ended before it told its result."
            lost = Case(name=self._program or "a test program", outcome=CaseOutcome.ERROR, message=reason)
            self.cases += [*self._with_words(), lost]
        self._clear()

    def _test(self, line: str) -> None:
        """A test's line, or the rest of one that another line was printed into."""
        told = _TEST.fullmatch(line)
        said = _SAID.fullmatch(told["said"] if told else line)
        name = told["name"] if told else self._halved
        if told is not None and said is None:
            self._halved = told["name"]
        elif said is not None and name is not None:
            self._halved = None
            outcome = _OUTCOMES.get(said["word"], CaseOutcome.PASSED)
            self.block.append(Case(name=name, classname=self._program, outcome=outcome))
        elif line == "failures:":
            self._telling = True

    def _tell(self, line: str, program: bool) -> None:  # noqa: FBT001 - whether the line begins another program
        heading = _STDOUT.fullmatch(line)
        if heading is not None:
            self._words = self._told.setdefault(heading["name"], [])
        elif line == "failures:":
            self._words = None
        elif self._words is not None:
            self._words.append(line[:MAX_TEXT_CHARS])
        elif program:
            # Cut off in the middle of its own list of failures.
            self._telling = False
            self.take(line)

    def _close(self, result: re.Match[str]) -> None:
        counts = tuple(sum(case.outcome is one for case in self.block) for one in _OUTCOMES.values())
        claimed = (int(result["passed"]) + int(result["measured"]), int(result["failed"]), int(result["ignored"]))
        whole = len(self.block) == self._expected and (result["word"] == "ok") == (counts[1] == 0)
        if (counts != claimed or not whole) and self.differs is None:
            self.differs = self._program or "a test program"
        self.cases += self._with_words()
        self._clear()

    def _with_words(self) -> list[Case]:
        """The block's tests with what they printed, by names that neither a line's number nor a twin can change."""
        seen: dict[str, int] = {}
        made = []
        for case in sorted(self.block, key=_line):
            words = self._told.get(_MANNER.sub("", case.name), self._told.get(case.name, []))
            name = _LINE.sub("", case.name.replace("/workspace/", "", 1) if case.name[:1] == "/" else case.name)
            name = name[: MAX_NAME_CHARS - 8]
            seen[name] = seen.get(name, 0) + 1
            twin = f" #{seen[name]}" if seen[name] > 1 and name != case.name else ""
            detail = "\n".join(words)[:MAX_TEXT_CHARS].strip("\n") if case.outcome in RED else ""
            made.append(replace(case, name=f"{name}{twin}", detail=detail))
        return made

    def _clear(self) -> None:
        self.block, self._told, self._words = [], {}, None
        self._expected, self._halved, self._telling = None, None, False


def _named(program: re.Match[str]) -> str:
    if program["documented"]:
        return f"{program['documented']} documentation"
    return f"{program['crate']} {program['file']}" if program["crate"] else program["file"]


def _line(case: Case) -> int:
    """A documentation test's line, so that twins keep their order whichever ended first; 0 for all others."""
    told = _LINE.search(case.name)
    return int(told["number"]) if told else 0
