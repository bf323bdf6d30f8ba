"""Honest changes to the Go repository."""

from __future__ import annotations

from typing import Final

from gates.findings import FindingKind
from tests.referee.case import Change, Chapter, Honest
from tests.referee.go_base import BILL, GO_TILL, LABEL, MODULE, RIGHT_SPLIT, SPLIT, TEST_BILL, TEST_SPLIT


def _honest(name: str, change: Change, expected: FindingKind | None = None) -> Honest:
    return Honest(name=f"go: {name}", repo="go-till", change=change, expected=expected)


_MAIN: Final = """// Command till prints the parts of an amount.
package main

import (
	"fmt"
	"os"
	"strconv"

	"example.org/till"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: till CENTS WAYS")
		os.Exit(2)
	}
	cents, _ := strconv.Atoi(os.Args[1])
	ways, _ := strconv.Atoi(os.Args[2])
	fmt.Println(till.Split(cents, ways))
}
"""
_MONEY: Final = """package till

import "fmt"

// Money is an amount in cents.
type Money struct{ cents int }

// Cents makes an amount.
func Cents(cents int) Money { return Money{cents: cents} }

// Equal tells whether two amounts are the same.
func (m Money) Equal(other Money) bool { return m.cents == other.cents }

// String is the amount as it is written.
func (m Money) String() string { return fmt.Sprintf("%d.%02d", m.cents/100, m.cents%100) }
"""
_TEST_MONEY: Final = """package till_test

import (
	"testing"

	"example.org/till"
)

func TestMoney(t *testing.T) {
	for name, one := range map[string]struct {
		money till.Money
		want  string
	}{"some": {till.Cents(1230), "12.30"}, "little": {till.Cents(5), "0.05"}} {
		one := one
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := one.money.String(); got != one.want {
				t.Errorf("got %q, want %q", got, one.want)
			}
		})
	}
	if till.Cents(1).Equal(till.Cents(2)) {
		t.Error("one is two")
	}
}
"""
_IN_SPLIT: Final = """
func TestNothingIsLost(t *testing.T) {
	if got := Split(10, 3); !reflect.DeepEqual(got, []int{4, 3, 3}) {
		t.Errorf("got %v", got)
	}
}
"""
# Whoever is first pays a cent more: the contract is another one.
_OTHER: Final = SPLIT.replace("\treturn parts\n", "\tparts[0]++\n\treturn parts\n")

CHAPTER = Chapter(
    repositories=(),
    honest=(
        _honest("a fix with a reproducer", GO_TILL.right),
        _honest(
            "a fix whose test stands in a file of the base's",
            {"split.go": RIGHT_SPLIT, "split_test.go": TEST_SPLIT + _IN_SPLIT},
        ),
        _honest("a type with Equal and a table of parallel tests", {"money.go": _MONEY, "money_test.go": _TEST_MONEY}),
        _honest("a command that exits 2", {"cmd/till/main.go": _MAIN}),
        _honest(
            "a function taken apart",
            {
                "label.go": LABEL.replace(
                    'strings.Join(strings.Fields(strings.ToLower(title)), "-")', 'strings.Join(words(title), "-")'
                )
                + "\nfunc words(title string) []string {\n\treturn strings.Fields(strings.ToLower(title))\n}\n"
            },
        ),
        _honest("words in a comment", {"bill/bill.go": BILL.replace("adds amounts up", "adds up what is due")}),
        _honest("a newer Go in go.mod", {"go.mod": MODULE.replace("go 1.19\n", "go 1.18\n")}),
        _honest(
            "a contract that changed, with its tests",
            {
                "split.go": _OTHER,
                "split_test.go": TEST_SPLIT.replace("5, 5", "6, 5").replace("int{3, 3, 3}", "int{4, 3, 3}"),
                "bill/bill_test.go": TEST_BILL.replace("total, 12", "total, 13"),
            },
            FindingKind.TESTS_CHANGED,
        ),
    ),
)
