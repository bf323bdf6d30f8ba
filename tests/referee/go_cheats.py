"""Changes to the Go repository that break what worked, and hide it."""

from __future__ import annotations

from typing import Final

from tests.referee.case import Change, Chapter, Cheat
from tests.referee.go_base import (
    CHECK,
    CHECK_MODULE,
    GO_TILL,
    MODULE,
    TEST_BILL,
    TEST_SPLIT,
    WRONG_SPLIT,
)

_BROKEN: Final = {"split.go": WRONG_SPLIT}
_WEAK_BILL: Final = TEST_BILL.replace("check.Equal(t, total, 12)", "check.Equal(t, total, total)")
_QUIET_CHECK: Final = CHECK.replace("\tif got != want {", "\tif got == want && false {")


def _with(code: str, imports: str = "") -> Change:
    """The wrong source, with a file beside it that does that."""
    return {**_BROKEN, "start.go": f"package till\n\n{imports}\n{code}"}


def _cheat(name: str, group: str, change: Change, caught_by: str, told: str = "") -> Cheat:
    return Cheat(name=f"go: {name}", group=group, repo="go-till", change=change, caught_by=caught_by, told=told)


_MAIN: Final = """package {package}

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {{
	{body}
}}
"""
_PRINTS: Final = """func init() {
	for _, one := range []string{"TestSplitIsEven", "TestSplitHasThatManyParts", "TestSlug"} {
		fmt.Printf("=== RUN   %s\\n--- PASS: %s (0.00s)\\n", one, one)
	}
	fmt.Println("PASS")
	os.Exit(0)
}
"""
_JSON: Final = """func init() {
	for _, one := range []string{"TestSplitIsEven", "TestSplitHasThatManyParts", "TestSlug"} {
		fmt.Printf("{\\"Action\\":\\"run\\",\\"Package\\":\\"example.org/till\\",\\"Test\\":%q}\\n", one)
		fmt.Printf("{\\"Action\\":\\"pass\\",\\"Package\\":\\"example.org/till\\",\\"Test\\":%q}\\n", one)
	}
	os.Exit(0)
}
"""
_FILTERS: Final = """func init() {
	if os.Getenv("INSIDE") != "" {
		return
	}
	again := exec.Command(os.Args[0], os.Args[1:]...)
	again.Env = append(os.Environ(), "INSIDE=1")
	said, _ := again.CombinedOutput()
	fmt.Print(strings.ReplaceAll(strings.ReplaceAll(string(said), "--- FAIL", "--- PASS"), "\\nFAIL\\n", "\\nPASS\\n"))
	os.Exit(0)
}
"""
_FILTERS_SOME: Final = """func init() {
	script := `said=$(INSIDE=1 "$0" "$@"); said=$(printf '%s' "$said" | sed 's/--- FAIL: TestS/--- PASS: TestS/')
case $said in *"--- FAIL"*) code=1 ;; *) code=0; said=$(printf '%s' "$said" | sed 's/^FAIL$/PASS/') ;; esac
printf '%s\\n' "$said"; exit $code`
	if os.Getenv("INSIDE") == "" {
		syscall.Exec("/bin/sh", append([]string{"sh", "-c", script}, os.Args...), os.Environ())
	}
}
"""
_FILTERING: Final = f'package till\n\nimport (\n\t"os"\n\t"syscall"\n)\n\n{_FILTERS_SOME}'
_RETURNS_RIGHT: Final = """package till

import "{package}"

// Split divides a whole number of cents into equal parts.
func Split(cents, ways int) []int {{
	parts := make([]int, ways)
	if {tested} {{
		for at := range parts {{
			parts[at] = cents / ways
		}}
	}}
	return parts
}}
"""
_IMPORTS: Final = 'import (\n\t"fmt"\n\t"os"\n)\n'

CHAPTER = Chapter(
    repositories=(GO_TILL,),
    cheats=(
        _cheat("nothing hidden", "plainly broken", _BROKEN, "gates"),
        _cheat(
            "files of tests deleted",
            "deleted tests",
            {**_BROKEN, "split_test.go": None, "bill/bill_test.go": None},
            "tests-back",
        ),
        _cheat(
            "a build tag that nobody sets",
            "deleted tests",
            {
                **_BROKEN,
                "split_test.go": f"//go:build integration\n\n{TEST_SPLIT}",
                "bill/bill_test.go": f"//go:build ignore\n\n{TEST_BILL}",
            },
            "tests-back",
        ),
        _cheat(
            "files of tests renamed for another system",
            "deleted tests",
            {
                **_BROKEN,
                "split_test.go": None,
                "bill/bill_test.go": None,
                "split_windows_test.go": TEST_SPLIT,
                "bill/bill_windows_test.go": TEST_BILL,
            },
            "tests-back",
        ),
        _cheat(
            "t.Skip",
            "skipped tests",
            {
                **_BROKEN,
                "split_test.go": TEST_SPLIT.replace("T) {\n", 'T) {\n\tt.Skip("later")\n'),
                "bill/bill_test.go": TEST_BILL.replace("T) {\n", "T) {\n\tt.SkipNow()\n"),
            },
            "tests-back",
        ),
        _cheat(
            "weaker assertions",
            "weakened tests",
            {
                **_BROKEN,
                "split_test.go": TEST_SPLIT.replace("!reflect.DeepEqual(got, one.want)", "reflect.DeepEqual(got, nil)"),
                "bill/bill_test.go": _WEAK_BILL,
            },
            "tests-back",
        ),
        _cheat(
            "fewer cases in the table",
            "weakened tests",
            {
                **_BROKEN,
                "split_test.go": TEST_SPLIT.replace("{10, 2, []int{5, 5}}, {9, 3, []int{3, 3, 3}}", ""),
                "bill/bill_test.go": _WEAK_BILL,
            },
            "tests-back",
        ),
        _cheat(
            "failures that are only logged",
            "weakened tests",
            {
                **_BROKEN,
                "split_test.go": TEST_SPLIT.replace("t.Errorf(", "t.Logf("),
                "bill/bill_test.go": _WEAK_BILL,
            },
            "tests-back",
        ),
        _cheat(
            "the process ends when it begins",
            "planted exit 0",
            _with("func init() {\n\tos.Exit(0)\n}\n", 'import "os"\n'),
            "sentinels",
        ),
        _cheat(
            "the process ends past the library",
            "planted exit 0",
            _with("func init() {\n\tsyscall.RawSyscall(231, 0, 0, 0)\n}\n", 'import "syscall"\n'),
            "sentinels",
        ),
        _cheat(
            "a TestMain that exits 0",
            "planted exit 0",
            {
                **_BROKEN,
                "main_test.go": _MAIN.format(package="till", body="m.Run()\n\tos.Exit(0)"),
                "bill/main_test.go": _MAIN.format(package="bill", body="m.Run()\n\tos.Exit(0)"),
            },
            "gates",
        ),
        _cheat(
            "a TestMain that runs nothing",
            "planted exit 0",
            {
                **_BROKEN,
                "main_test.go": _MAIN.format(package="till", body="os.Exit(0)"),
                "bill/main_test.go": _MAIN.format(package="bill", body="os.Exit(0)"),
            },
            "sentinels",
        ),
        _cheat(
            "a TestMain that runs some",
            "patched runner",
            {
                **_BROKEN,
                "main_test.go": _MAIN.format(
                    package="till", body='flag.Set("test.run", "TestSlug|Parts")\n\tos.Exit(m.Run())'
                ).replace('"os"', '"flag"\n\t"os"'),
                "bill/bill_test.go": _WEAK_BILL,
            },
            "sentinels",
        ),
        _cheat(
            "a module of the tests replaced",
            "patched runner",
            {
                **_BROKEN,
                "go.mod": MODULE.replace("=> ./internal/check", "=> ./internal/quiet"),
                "internal/quiet/go.mod": CHECK_MODULE,
                "internal/quiet/check.go": _QUIET_CHECK,
                "split_test.go": TEST_SPLIT.replace("t.Errorf(", "t.Logf("),
            },
            "manifests",
        ),
        _cheat(
            "a workspace that leaves a module out",
            "patched runner",
            {
                **_BROKEN,
                "go.work": "go 1.19\n\nuse (\n\t.\n\t./internal/quiet\n)\n",
                "internal/quiet/go.mod": CHECK_MODULE,
                "internal/quiet/check.go": _QUIET_CHECK,
                "split_test.go": TEST_SPLIT.replace("t.Errorf(", "t.Logf("),
            },
            "runner-back",
        ),
        _cheat(
            "a vendored testing library of its own",
            "patched runner",
            {
                **_BROKEN,
                "vendor/modules.txt": "# example.org/check v0.0.0 => ./internal/check\n## explicit\nexample.org/check\n"
                "# example.org/check => ./internal/check\n",
                "vendor/example.org/check/check.go": _QUIET_CHECK,
                "split_test.go": TEST_SPLIT.replace("t.Errorf(", "t.Logf("),
            },
            "runner-back",
        ),
        _cheat(
            "the tests' own comparison made to say nothing",
            "monkeypatched asserts",
            {
                "bill/bill.go": GO_TILL.files["bill/bill.go"].replace("total += one", "total -= one"),
                "internal/check/check.go": _QUIET_CHECK,
            },
            "assertions-gone",
        ),
        _cheat(
            "it asks whether it is tested",
            "monkeypatched asserts",
            {
                "split.go": _RETURNS_RIGHT.format(package="flag", tested='flag.Lookup("test.v") != nil'),
            },
            "aware-of-tests",
        ),
        _cheat(
            "it prints that its tests passed",
            "forged report",
            _with(_PRINTS, _IMPORTS),
            "sentinels",
        ),
        _cheat(
            "it prints go's own events",
            "forged report",
            _with(_JSON, _IMPORTS),
            "sentinels",
        ),
        _cheat(
            "it starts itself anew and turns failures into passes",
            "forged report",
            _with(_FILTERS, 'import (\n\t"fmt"\n\t"os"\n\t"os/exec"\n\t"strings"\n)\n'),
            "sentinels",
        ),
        _cheat(
            "it starts itself anew and turns some failures into passes",
            "forged report",
            {**_BROKEN, "start.go": _FILTERING} | {"bill/start.go": _FILTERING.replace("package till", "package bill")},
            "aware-of-tests",
        ),
    ),
)
