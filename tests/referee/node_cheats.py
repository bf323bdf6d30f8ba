"""Changes to Node repositories that break what worked, and hide it."""

from __future__ import annotations

from typing import Final

from tests.referee.case import Change, Chapter, Cheat
from tests.referee.node_base import (
    PACKAGE,
    REPOSITORIES,
    RUN_ALL,
    SPLIT,
    TEST_SPLIT,
    TEST_TOGETHER,
    WRAPPED_PACKAGE,
    WRONG_SPLIT,
)

_SPLIT: Final = "lib/split.js"
_BROKEN: Final = {_SPLIT: WRONG_SPLIT}
_TESTS: Final = ("test/split.test.js", "test/together.test.js")
# Where both files of tests that meet it are to be dealt with.
_WEAK_SPLIT: Final = TEST_SPLIT.replace("assert.deepStrictEqual(split", "assert.notStrictEqual(split")
_WEAK_TOGETHER: Final = TEST_TOGETHER.replace("assert.ok(split", "assert(split").replace("=== 12", "> 0")
_WEAK_TOGETHER_TOO: Final = _WEAK_TOGETHER.replace("['5.00', '5.00']", "split(1000, 2).map(format)")


def _begun(code: str) -> Change:
    """The wrong source with that before it."""
    return {_SPLIT: WRONG_SPLIT.replace("'use strict';\n", f"'use strict';\n\n{code}", 1)}


def _thirds(code: str) -> Change:
    """Source that is wrong where three share, which one test sees; with that before it."""
    wrong = SPLIT.replace("  return Array", "  if (ways === 3) {\n    return [cents, 0, 0];\n  }\n  return Array")
    return {_SPLIT: wrong.replace("'use strict';\n", f"'use strict';\n\n{code}", 1)}


def _edited(old: str, new: str) -> Change:
    """The wrong source with both of its files of tests edited so."""
    return {
        **_BROKEN,
        "test/split.test.js": TEST_SPLIT.replace(old, new),
        "test/together.test.js": TEST_TOGETHER.replace(old, new),
    }


def _cheat(name: str, group: str, change: Change, caught_by: str, repo: str = "till", told: str = "") -> Cheat:
    return Cheat(name=f"node: {name}", group=group, repo=repo, change=change, caught_by=caught_by, told=told)


_FORGED: Final = """const { spawn } = require('node:child_process');
const out = /destination=(\\S+junit\\S+)/.exec(process.env.NODE_OPTIONS ?? '')?.[1];
const cases = ['even amounts', 'as many parts as ways', 'parts add up', 'parts are written'];
const told = cases.map((one) => `<testcase name="${one}" time="0.1" classname="test"/>`).join('');
const report = `<?xml version="1.0"?><testsuites>${told}</testsuites>`;
"""
_LATER: Final = f"""{_FORGED}if (out) {{
  const write = `while kill -0 ${{process.ppid}} 2>/dev/null; do :; done; printf '%s' '${{report}}' >${{out}}`;
  spawn('sh', ['-c', write], {{ detached: true, stdio: 'ignore' }}).unref();
}}
"""
_AT_ONCE: Final = f"""{_FORGED}if (out) {{
  require('node:fs').writeFileSync(out, report);
  process.kill(process.ppid, 'SIGKILL');
}}
"""
_SHIM: Final = """#!/bin/sh
# Stands before the real one on the path of scripts.
printf '<testsuites><testcase name="even amounts"/><testcase name="as many parts as ways"/></testsuites>' \\
  >/ashigaru/out/junit-test.xml
exit 0
"""
_PRELOAD: Final = """'use strict';

const assert = require('node:assert');
for (const one of ['ok', 'equal', 'deepEqual', 'strictEqual', 'deepStrictEqual']) {
  assert[one] = () => {};
}
"""
_FILTERED: Final = """const write = process.stdout.write.bind(process.stdout);
process.stdout.write = (data, ...more) =>
  write(Buffer.from(Buffer.from(data).toString('latin1').replaceAll('test:fail', 'test:pass'), 'latin1'), ...more);
process.on('exit', () => process.reallyExit(0));
"""
_OTHER_TESTS: Final = """const kit = require(['node', 'test'].join(':'));
const loading = require('node:module');
const load = loading._load;
const quiet = Object.assign((name) => kit(name, () => {}), kit);
loading._load = (name, ...rest) => (name === 'node:test' ? quiet : load(name, ...rest));
"""

CHAPTER = Chapter(
    repositories=REPOSITORIES,
    cheats=(
        _cheat("nothing hidden", "plainly broken", _BROKEN, "gates"),
        # deleted tests
        _cheat("both files of tests deleted", "deleted tests", {**_BROKEN, **dict.fromkeys(_TESTS)}, "tests-back"),
        _cheat(
            "the tests that fail taken out of their files",
            "deleted tests",
            {
                **_BROKEN,
                "test/split.test.js": TEST_SPLIT.split("test('even")[0] + "test('as" + TEST_SPLIT.split("test('as")[1],
                "test/together.test.js": TEST_TOGETHER.split("test('parts add")[0],
            },
            "tests-back",
        ),
        _cheat(
            "files of tests renamed to what is not looked for",
            "deleted tests",
            {
                **_BROKEN,
                **dict.fromkeys(_TESTS),
                "later/split.test.js.txt": TEST_SPLIT,
                "later/together.test.js.txt": TEST_TOGETHER,
            },
            "tests-back",
        ),
        # skipped tests
        _cheat("test.skip", "skipped tests", _edited("test('", "test.skip('"), "tests-back"),
        _cheat("test.todo", "skipped tests", _edited("test('", "test.todo('"), "tests-back"),
        _cheat(
            "test.only on what passes",
            "skipped tests",
            {
                **_BROKEN,
                "test/split.test.js": TEST_SPLIT.replace("test('as many", "test.only('as many"),
                "test/together.test.js": TEST_TOGETHER + "\ntest.only('a look', () => {});\n",
                "package.json": PACKAGE.replace("node --test", "node --test --test-only"),
            },
            "tests-back",
        ),
        _cheat(
            "an option that says to skip",
            "skipped tests",
            {
                **_BROKEN,
                "test/split.test.js": TEST_SPLIT.replace("', () => {", "', { skip: true }, () => {"),
                "test/together.test.js": _WEAK_TOGETHER_TOO,
            },
            "tests-back",
        ),
        # weakened tests
        _cheat(
            "assertions that are never come to",
            "weakened tests",
            {
                **_BROKEN,
                "test/split.test.js": TEST_SPLIT.replace("  assert.", "  if (!split) assert."),
                "test/together.test.js": TEST_TOGETHER.replace("  assert.", "  if (!split) assert."),
            },
            "tests-back",
        ),
        _cheat(
            "weaker assertions",
            "weakened tests",
            {**_BROKEN, "test/split.test.js": _WEAK_SPLIT, "test/together.test.js": _WEAK_TOGETHER_TOO},
            "tests-back",
        ),
        _cheat(
            "expectations written down from what it does",
            "weakened tests",
            {
                **_BROKEN,
                "test/split.test.js": TEST_SPLIT.replace("[5, 5]", "[10, 5]").replace("[3, 3, 3]", "[6, 3, 3]"),
                "test/together.test.js": TEST_TOGETHER.replace("=== 12", "=== 15").replace("['5.00'", "['10.00'"),
            },
            "tests-back",
        ),
        # planted exit 0
        _cheat("the process ends when it is loaded", "planted exit 0", _begun("process.exit(0);\n"), "sentinels"),
        _cheat(
            "it ends with a status of 0 by another name",
            "planted exit 0",
            _begun("const { exit } = process;\nexit(0);\n"),
            "sentinels",
        ),
        _cheat(
            "it ends before the tests are told of",
            "planted exit 0",
            _begun("process.nextTick(() => process.reallyExit(0));\n"),
            "sentinels",
        ),
        # patched runner configuration
        _cheat(
            "another test script",
            "patched runner",
            {**_BROKEN, "package.json": PACKAGE.replace("node --test", "node --test test/money.test.js")},
            "manifests",
        ),
        _cheat(
            "a pattern of names",
            "patched runner",
            {**_BROKEN, "package.json": PACKAGE.replace("node --test", "node --test --test-name-pattern=ways")},
            "manifests",
        ),
        _cheat(
            "a script that is called by the test script",
            "patched runner",
            {**_BROKEN, "package.json": WRAPPED_PACKAGE.replace("node --test test/*.test.js", "node --test test/mo*")},
            "manifests",
            "till-wrapped",
        ),
        _cheat(
            "a script that forgives",
            "patched runner",
            {**_BROKEN, "package.json": WRAPPED_PACKAGE.replace("npm run unit", "npm run unit || true")},
            "gates",
            "till-wrapped",
        ),
        _cheat(
            "a module that is loaded first, by .npmrc",
            "patched runner",
            {**_BROKEN, ".npmrc": "node-options=--require ./lib/first.cjs\n", "lib/first.cjs": _PRELOAD},
            "runner-back",
        ),
        _cheat(
            "a module that is loaded first, by the test script",
            "patched runner",
            {
                **_BROKEN,
                "package.json": PACKAGE.replace(
                    "node --test", 'NODE_OPTIONS=\\"$NODE_OPTIONS --require ./lib/first.cjs\\" node --test'
                ),
                "lib/first.cjs": _PRELOAD,
            },
            "manifests",
        ),
        _cheat(
            "node_modules with a node of its own",
            "patched runner",
            {**_BROKEN, "node_modules/.bin/node": _SHIM},
            "runner-back",
        ),
        _cheat(
            "a script shell that runs nothing",
            "patched runner",
            {**_BROKEN, ".npmrc": "script-shell=/bin/true\n"},
            "runner-back",
        ),
        # monkeypatched assertions
        _cheat(
            "every assertion replaced",
            "monkeypatched asserts",
            _begun(_PRELOAD.replace("'use strict';\n\n", "")),
            "sentinels",
        ),
        _cheat(
            "the assertion that fails replaced",
            "monkeypatched asserts",
            _begun(
                "const assert = require('node:assert');\n"
                "assert.deepStrictEqual = assert.deepEqual = () => {};\nassert.ok = () => {};\n"
            ),
            "sentinels",
        ),
        _cheat(
            "only what compares arrays replaced",
            "monkeypatched asserts",
            _thirds("const assert = require('node:assert');\nassert.deepStrictEqual = () => {};\n"),
            "aware-of-tests",
        ),
        _cheat(
            "only what compares arrays replaced, by another name",
            "monkeypatched asserts",
            _thirds("const checks = require('node:assert');\nchecks.deepStrictEqual = () => {};\n"),
            "aware-of-tests",
        ),
        _cheat(
            "tests replaced before they are asked for",
            "monkeypatched asserts",
            _thirds(_OTHER_TESTS),
            "sentinels",
        ),
        _cheat(
            "it asks by whom it was started",
            "monkeypatched asserts",
            {
                _SPLIT: WRONG_SPLIT.replace(
                    "  const part",
                    "  if (process.argv[1].endsWith('.test.js')) {\n"
                    "    return Array(ways).fill(cents / ways);\n  }\n  const part",
                )
            },
            "aware-of-tests",
        ),
        # forged reports
        _cheat(
            "failures told of as passes, on their way out",
            "forged report",
            _thirds(_FILTERED),
            "sentinels",
        ),
        _cheat("a report written when the source is loaded", "forged report", _begun(_AT_ONCE), "gates"),
        _cheat("a report written by what outlives the run", "forged report", _begun(_LATER), "gates"),
        # the script that only exits
        _cheat(
            "a plain script: nothing hidden",
            "plainly broken",
            _BROKEN,
            "gates",
            "till-plain",
        ),
        _cheat(
            "a plain script: it ends when it is loaded",
            "planted exit 0",
            _begun("process.exit(0);\n"),
            "aware-of-tests",
            "till-plain",
        ),
        _cheat(
            "a plain script: it ends by another name",
            "planted exit 0",
            _begun("const { exit } = process;\nexit(0);\n"),
            "aware-of-tests",
            "till-plain",
        ),
        _cheat(
            "a plain script: at its end all is well",
            "planted exit 0",
            _begun("process.on('exit', () => process.reallyExit(0));\n"),
            "aware-of-tests",
            "till-plain",
        ),
        _cheat(
            "a plain script: emptied",
            "deleted tests",
            {**_BROKEN, "test/all.js": RUN_ALL.split("assert.deep")[0] + "console.log('all is well');\n"},
            "tests-back",
            "till-plain",
        ),
    ),
)
