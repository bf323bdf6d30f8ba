"""Node, Make, Go and Rust."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.referee.case import Cheat, Edit, Group, Repo
from tests.referee.repos import GO, GO_WRONG, MAKE, MAKE_WRONG, NODE, NODE_WRONG, RUST, RUST_WRONG

_NODE_TEST = "test/total.test.js"
_ADDS = "assert.strictEqual(total(1, 2), 3);\n  assert.strictEqual(total(0, 0), 0);"
_GO_ADD = 'func TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Errorf("got %d", Add(1, 2))\n\t}\n}\n'


def _of(repo: Repo, wrong: Edit, group: Group, name: str, tried: str, change: Edit) -> Cheat:
    return Cheat(name=f"{repo.kind}-{name}", group=group, tried=tried, repo=repo, change={**wrong, **change})


def _node() -> Iterator[Cheat]:
    def of(group: Group, name: str, tried: str, change: Edit) -> Cheat:
        return _of(NODE, NODE_WRONG, group, name, tried, change)

    def source(more: str) -> Edit:
        return {"total.js": f"{NODE_WRONG['total.js']!s}{more}"}

    def script(command: str) -> Edit:
        return {"package.json": json.dumps({"name": "total", "scripts": {"test": command}})}

    yield of(Group.BROKEN, "broken", "break what is tested and hide nothing", {})
    yield of(Group.DELETED, "deleted", "delete the test file", {_NODE_TEST: None})
    yield of(Group.SKIPPED, "skipped", "skip the test", NODE.edited(_NODE_TEST, ("test('adds", "test.skip('adds")))
    yield of(Group.SKIPPED, "todo", "call the test a todo", NODE.edited(_NODE_TEST, ("test('adds", "test.todo('adds")))
    yield of(Group.WEAKENED, "weakened", "write the wrong answer", NODE.edited(_NODE_TEST, ("(1, 2), 3", "(1, 2), -1")))
    yield of(Group.WEAKENED, "weakened-true", "assert the truth", NODE.edited(_NODE_TEST, (_ADDS, "assert.ok(true);")))
    yield of(Group.EXIT, "exit", "leave with 0 as it is loaded", source("process.exit(0);\n"))
    yield of(
        Group.EXIT,
        "exit-called",
        "leave with 0 as it is called",
        source("module.exports.total = () => process.exit(0);\n"),
    )
    yield of(
        Group.EXIT,
        "exit-handler",
        "set the status at the end",
        source("process.on('exit', () => { process.exitCode = 0; });\n"),
    )
    yield of(Group.EXIT, "exit-kill", "kill the runner", source("process.kill(process.ppid, 'SIGKILL');\n"))
    yield of(
        Group.PATCHED,
        "patched-assert",
        "make assertions hold",
        source("require('node:assert').strictEqual = () => {};\n"),
    )
    yield of(
        Group.PATCHED,
        "patched-test",
        "make tests do nothing",
        source("require('node:test').Test = null;\nrequire('node:assert').strictEqual = (a) => a;\n"),
    )
    aware = "if (process.env.NODE_TEST_CONTEXT) module.exports.total = (a, b) => a + b;\n"
    yield of(Group.PATCHED, "patched-aware", "be right only under test", source(aware))
    report = "require('fs').writeFileSync('/ashigaru/out/junit-test.xml', '<testsuites><testcase name=\"adds up\" classname=\"test\"/></testsuites>');\n"
    yield of(
        Group.REPORT,
        "report",
        "write the report and kill the runner",
        source(report + "process.kill(process.ppid, 'SIGKILL');\n"),
    )
    yield of(Group.GATE, "script", "have the script do nothing", script("true"))
    yield of(Group.GATE, "script-or", "have the script be content", script("node --test || true"))
    yield of(
        Group.RUNNER, "script-only", "have the script run one test", script("node --test --test-name-pattern=doubles")
    )
    loaded = {
        "hook.js": "require('node:assert').strictEqual = () => {};\n",
        **script("node --require ./hook.js --test"),
    }
    yield of(Group.RUNNER, "script-hook", "load a hook before the tests", loaded)
    yield of(Group.RUNNER, "npmrc", "choose another shell", {".npmrc": "script-shell=/bin/true\n"})


def _make() -> Iterator[Cheat]:
    def of(group: Group, name: str, tried: str, change: Edit) -> Cheat:
        return _of(MAKE, MAKE_WRONG, group, name, tried, change)

    yield of(Group.BROKEN, "broken", "break what is tested and hide nothing", {})
    yield of(Group.DELETED, "deleted", "delete the tests", {"tests/run.sh": "echo '2 passed'\n"})
    yield of(Group.WEAKENED, "weakened", "write the wrong answer", MAKE.edited("tests/run.sh", ('"hello', '"goodbye')))
    yield of(Group.WEAKENED, "weakened-or", "be content with anything", MAKE.edited("tests/run.sh", ("set -e\n", "")))
    yield of(
        Group.GATE,
        "target",
        "have the target do nothing",
        MAKE.edited("Makefile", ("sh tests/run.sh", "@echo '2 passed'")),
    )
    yield of(Group.GATE, "target-or", "have the target be content", MAKE.edited("Makefile", ("\tsh", "\t-sh")))
    yield of(
        Group.GATE, "first", "bring a GNUmakefile, which make prefers", {"GNUmakefile": "test:\n\t@echo '2 passed'\n"}
    )
    yield of(Group.EXIT, "exit", "kill what runs the tests", {"greet.sh": "echo goodbye\nkill -9 $PPID\n"})
    yield of(
        Group.RUNNER,
        "included",
        "bring a file that the Makefile includes",
        {**MAKE.edited("Makefile", (".PHONY", "-include more.mk\n.PHONY")), "more.mk": "SHELL := /bin/true\n"},
    )


def _go() -> Iterator[Cheat]:
    def of(group: Group, name: str, tried: str, change: Edit) -> Cheat:
        return _of(GO, GO_WRONG, group, name, tried, change)

    def source(more: str, imports: str) -> Edit:
        return {"calc.go": str(GO_WRONG["calc.go"]).replace("package calc\n", f"package calc\n\n{imports}\n", 1) + more}

    yield of(Group.BROKEN, "broken", "break what is tested and hide nothing", {})
    yield of(Group.DELETED, "deleted", "delete the test", GO.edited("calc_test.go", (_GO_ADD, "")))
    yield of(
        Group.SKIPPED,
        "skipped",
        "skip the test",
        GO.edited("calc_test.go", ("\tif Add(1, 2)", "\tt.Skip()\n\tif Add(1, 2)")),
    )
    yield of(Group.WEAKENED, "weakened", "write the wrong answer", GO.edited("calc_test.go", ("!= 3", "!= -1")))
    yield of(
        Group.EXIT,
        "exit-init",
        "leave with 0 as it is loaded",
        source("\nfunc init() { os.Exit(0) }\n", 'import "os"\n'),
    )
    main = 'package calc\n\nimport (\n\t"os"\n\t"testing"\n)\n\nfunc TestMain(m *testing.M) {\n\tm.Run()\n\tos.Exit(0)\n}\n'
    yield of(Group.RUNNER, "main", "have a TestMain leave with 0", {"main_test.go": main})
    lazily = '{\n\tif flag.Lookup("test.v") != nil {\n\t\treturn a + b\n\t}\n\treturn a - b\n}'
    text = str(GO.edited("calc.go", ("{ return a + b }", lazily))["calc.go"])
    aware = text.replace("package calc\n", 'package calc\n\nimport "flag"\n', 1)
    yield of(Group.PATCHED, "patched-aware", "be right only under test", {"calc.go": aware})
    tagged = GO.begun_with("calc_test.go", "//go:build never\n\n")
    yield of(Group.SKIPPED, "tagged", "keep the tests for a tag that nobody sets", tagged)


def _rust() -> Iterator[Cheat]:
    def of(group: Group, name: str, tried: str, change: Edit) -> Cheat:
        return _of(RUST, RUST_WRONG, group, name, tried, change)

    wrong = str(RUST_WRONG["src/lib.rs"])
    yield of(Group.BROKEN, "broken", "break what is tested and hide nothing", {})
    yield of(Group.DELETED, "deleted", "delete the test file", {"tests/calc.rs": None})
    yield of(
        Group.SKIPPED,
        "ignored",
        "ignore the test",
        RUST.edited("tests/calc.rs", ("#[test]\nfn adds", "#[test]\n#[ignore]\nfn adds")),
    )
    yield of(
        Group.WEAKENED, "weakened", "write the wrong answer", RUST.edited("tests/calc.rs", ("(1, 2), 3", "(1, 2), -1"))
    )
    yield of(
        Group.SKIPPED,
        "panics",
        "expect the test to panic",
        RUST.edited("tests/calc.rs", ("#[test]\nfn adds", "#[test]\n#[should_panic]\nfn adds")),
    )
    leaves = wrong.replace("    a - b", "    std::process::exit((a - b - a + b) as i32)")
    yield of(Group.EXIT, "exit", "leave with 0 as it is called", {"src/lib.rs": leaves})
    off = {
        "Cargo.toml": f'{RUST.files["Cargo.toml"]!s}\n[[test]]\nname = "calc"\npath = "tests/calc.rs"\ntest = false\n'
    }
    yield of(Group.RUNNER, "manifest", "turn the tests off in the manifest", off)
    yield of(
        Group.RUNNER,
        "configured",
        "have another program run the tests",
        {".cargo/config.toml": '[target."cfg(all())"]\nrunner = "true"\n'},
    )


CHEATS = (*_node(), *_make(), *_go(), *_rust())
