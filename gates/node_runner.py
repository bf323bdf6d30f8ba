"""From a package's test script to the command that runs it, with a report where its runner can write one. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Final

from gates.ecosystem import OUT, TIMEOUT_S, Gate
from gates.test_runners import TestRunner, runner_in

REPORT: Final = "junit-test.xml"
_JEST_REPORT: Final = "jest-test.json"
_MAX_STEPS: Final = 5
_MAX_CHARS: Final = 8000
"""Of script text that is looked at: a longer one is run, but not understood."""
_CHAIN: Final = re.compile(r"&&|\|\||;|\n")
# What could keep arguments at the script's end from reaching its last command.
_UNSURE: Final = re.compile(r"[|<>`&]|\$\(")
# Not where a script's name comes first: what follows that is the script's.
_NODE_TEST: Final = re.compile(r"(?<![\w./-])node\s+(?:(?!\S*\.[cm]?[jt]s\b)[^\s&|;]+\s+)*--test(?![\w-])")
_CALLS: Final = re.compile(r"(?:npm|pnpm|yarn)\s+(?:run\s+|run-script\s+)?(?P<script>[\w:.-]+)")
_NOTHING: Final = re.compile(r"\s*(?:(?:echo|exit|true|:)(?:\s[^&|;]*)?(?:&&|\|\||;|$)\s*)*")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_PASS_ON: Final = frozenset({"npx", "cross-env", "c8", "nyc", "node", "exec"})
# To a report by options of the runner's own, and what says that the script already chose one.
_REPORTING: Final[Mapping[str, tuple[str, str]]] = {
    "jest": (_JEST_REPORT, f"--json --outputFile={OUT}/{_JEST_REPORT}"),
    "vitest": (REPORT, f"--reporter=default --reporter=junit --outputFile.junit={OUT}/{REPORT}"),
    "mocha": (REPORT, f"--reporter xunit --reporter-option output={OUT}/{REPORT}"),
}
_CHOSEN: Final = ("--json", "--reporter", "--outputFile", "-R", "--listTests")
_NODE_OPTIONS: Final = (
    "--test-reporter=spec --test-reporter-destination=stdout "
    f"--test-reporter=junit --test-reporter-destination={OUT}/{REPORT}"
)


def test_script(scripts: Mapping[str, str]) -> str | None:
    """The script called `test`; None where there is none, or it only says that there are no tests."""
    script = scripts.get("test", "")
    if not script.strip() or "no test specified" in script or _NOTHING.fullmatch(script):
        return None
    return script


def script_gate(scripts: Mapping[str, str], name: str) -> Gate:
    """The gate that runs `npm test`, with a report where the runner in the script is known to write one.

    npm runs the script whichever package manager installed: a script is a shell command with `.bin` on its PATH.
    Where there is no report to be had, the counts that the runner prints are the evidence.
    """
    script = scripts["test"]
    if len(_NODE_TEST.findall(_reached(scripts))) == 1 and "--test-reporter" not in script:
        # By the environment, so that it reaches node through any wrapper.
        return _gate(name, f"NODE_OPTIONS={shlex.quote(_NODE_OPTIONS)} npm test", REPORT, TestRunner.NODE)
    known = _last_runner(script)
    if known is not None and "posttest" not in scripts:
        report, options = _REPORTING[known]
        return _gate(name, f"npm test -- {options}", report, TestRunner(known))
    return _gate(name, "npm test", None, runner_in(_reached(scripts)))


def _gate(name: str, run: str, report: str | None, runner: TestRunner | None) -> Gate:
    return Gate(name=name, run=run, junit=report, timeout_s=TIMEOUT_S, printed=True, runner=runner)


def _reached(scripts: Mapping[str, str]) -> str:
    """The test script with those that it calls by name, to a bounded depth."""
    told = dict.fromkeys(name for name in ("pretest", "test", "posttest") if name in scripts)
    for _ in range(_MAX_STEPS):
        text = "\n".join(scripts[name] for name in told)[:_MAX_CHARS]
        called = dict.fromkeys(one["script"] for one in _CALLS.finditer(text) if one["script"] in scripts)
        if told.keys() >= called.keys():
            break
        told |= called
    return "\n".join(scripts[name] for name in told)[:_MAX_CHARS]


def _last_runner(script: str) -> str | None:
    """The runner that arguments at the script's end would reach, if it is one that can be asked for a report."""
    last = _CHAIN.split(script)[-1]
    if len(script) > _MAX_CHARS or _UNSURE.search(_CHAIN.sub(" ", script)):
        return None
    try:
        words = shlex.split(last)
    except ValueError:
        return None
    if any(word.startswith(_CHOSEN) for word in words):
        return None
    for word in words:
        program = word.rsplit("/", 1)[-1].removesuffix(".js").removesuffix(".mjs")
        if program in _REPORTING:
            return program
        if program not in _PASS_ON and not word.startswith("-") and not _ASSIGNMENT.fullmatch(word):
            return None
    return None
