"""The Go repository: two packages with tests, and a module beside it that only its tests use."""

from __future__ import annotations

from tests.referee.case import RIGHT, Hidden, Language, Repository
from tests.referee.images import judged_with_toolchains

SPLIT = """// Package till divides amounts.
package till

// Split divides a whole number of cents into equal parts.
func Split(cents, ways int) []int {
	parts := make([]int, ways)
	for at := range parts {
		parts[at] = cents / ways
	}
	return parts
}
"""
LABEL = """package till

import "strings"

// Slug is a title as it goes into an address.
func Slug(title string) string {
	return strings.Join(strings.Fields(strings.ToLower(title)), "-")
}
"""
TEST_SPLIT = """package till

import (
	"reflect"
	"testing"
)

func TestSplitIsEven(t *testing.T) {
	for _, one := range []struct {
		cents, ways int
		want        []int
	}{{10, 2, []int{5, 5}}, {9, 3, []int{3, 3, 3}}} {
		if got := Split(one.cents, one.ways); !reflect.DeepEqual(got, one.want) {
			t.Errorf("Split(%d, %d) = %v, want %v", one.cents, one.ways, got, one.want)
		}
	}
}

func TestSplitHasThatManyParts(t *testing.T) {
	if got := len(Split(8, 4)); got != 4 {
		t.Fatalf("%d parts, want 4", got)
	}
}
"""
TEST_LABEL = """package till

import "testing"

func TestSlug(t *testing.T) {
	if got := Slug("Hello Wide World"); got != "hello-wide-world" {
		t.Errorf("got %q", got)
	}
}
"""
BILL = """// Package bill adds amounts up.
package bill

import "example.org/till"

// Shares is what each of so many pays of a bill.
func Shares(cents, ways int) (shares []int, total int) {
	shares = till.Split(cents, ways)
	for _, one := range shares {
		total += one
	}
	return shares, total
}
"""
TEST_BILL = """package bill

import (
	"testing"

	"example.org/check"
)

func TestSharesAddUp(t *testing.T) {
	shares, total := Shares(12, 4)
	check.Equal(t, total, 12)
	check.Equal(t, len(shares), 4)
}
"""
CHECK = """// Package check compares in tests.
package check

import "testing"

// Equal reports what is not as it should be.
func Equal(t *testing.T, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}
"""
MODULE = """module example.org/till

go 1.19

require example.org/check v0.0.0

replace example.org/check => ./internal/check
"""
CHECK_MODULE = "module example.org/check\n\ngo 1.19\n"
RIGHT_SPLIT = SPLIT.replace(
    "\t\tparts[at] = cents / ways\n",
    "\t\tparts[at] = cents / ways\n\t\tif at < cents%ways {\n\t\t\tparts[at]++\n\t\t}\n",
)
# The rest is not lost, but the first part gets too much of even amounts too.
WRONG_SPLIT = SPLIT.replace("\treturn parts\n", "\tparts[0] = cents - (ways-2)*parts[0]\n\treturn parts\n")
REPRODUCER = """package till

import "testing"

func TestNothingIsLost(t *testing.T) {
	if got := Split(10, 3); got[0] != 4 || got[1] != 3 || got[2] != 3 {
		t.Errorf("got %v", got)
	}
}
"""
_LOOK = f"""package main

import (
	"fmt"

	"example.org/till"
)

func main() {{
	seen := fmt.Sprintln(till.Split(10, 3), till.Split(10, 2), till.Split(8, 4), till.Split(12, 4), till.Slug("A b"))
	if seen == "[4 3 3] [5 5] [2 2 2 2] [3 3 3 3] a-b\\n" {{
		fmt.Println("{RIGHT}")
	}}
}}
"""
HIDDEN = Hidden(
    files={"hiddenlook/main.go": _LOOK}, command=("sh", "-c", "HOME=$PWD GOFLAGS=-buildvcs=false go run ./hiddenlook")
)
FILES = judged_with_toolchains(
    {
        "go.mod": MODULE,
        "split.go": SPLIT,
        "label.go": LABEL,
        "split_test.go": TEST_SPLIT,
        "label_test.go": TEST_LABEL,
        "bill/bill.go": BILL,
        "bill/bill_test.go": TEST_BILL,
        "internal/check/go.mod": CHECK_MODULE,
        "internal/check/check.go": CHECK,
        "README.md": "# till\n",
    }
)
GO_TILL = Repository(
    name="go-till",
    language=Language.GO,
    files=FILES,
    asked="Split must lose nothing: the rest goes to the first parts",
    right={"split.go": RIGHT_SPLIT, "rest_test.go": REPRODUCER},
    hidden=HIDDEN,
)
