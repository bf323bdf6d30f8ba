"""Honest changes to the Rust repository."""

from __future__ import annotations

from typing import Final

from gates.findings import FindingKind
from tests.referee.case import Change, Chapter, Honest
from tests.referee.rust_base import LABEL, LIB, MANIFEST, MONEY, RIGHT_LIB, RUST_TILL, TEST_LABEL


def _honest(name: str, change: Change, expected: FindingKind | None = None) -> Honest:
    return Honest(name=f"rust: {name}", repo="rust-till", change=change, expected=expected)


_MAIN: Final = """use std::process::exit;

fn main() {
    let told: Vec<u64> = std::env::args().skip(1).filter_map(|one| one.parse().ok()).collect();
    if told.len() != 2 {
        eprintln!("usage: till CENTS WAYS");
        exit(2);
    }
    println!("{:?}", till::split(told[0], told[1]));
}
"""
_UNIT: Final = """    #[test]
    fn nothing_is_lost() {
        assert_eq!(split(10, 3), [4, 3, 3]);
    }
}
"""
_ORDER: Final = """
impl Eq for Money {}

impl PartialOrd for Money {
    fn partial_cmp(&self, other: &Money) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(&other.0)
    }
}
"""
_TEST_ORDER: Final = """use till::money::Money;

#[test]
fn amounts_are_in_order() {
    assert!(Money(1) < Money(2));
    assert!(Money(1) != Money(2));
}

#[test]
#[should_panic(expected = "divide by zero")]
fn nobody_is_no_way() {
    till::split(1, 0);
}
"""

CHAPTER = Chapter(
    repositories=(),
    honest=(
        _honest("a fix with a reproducer", RUST_TILL.right),
        _honest("a fix with a unit test beside the others", {"src/lib.rs": RIGHT_LIB[:-2] + "\n" + _UNIT}),
        _honest("an order for amounts, with tests", {"src/money.rs": MONEY + _ORDER, "tests/order.rs": _TEST_ORDER}),
        _honest("a program that exits 2", {"src/main.rs": _MAIN}),
        _honest(
            "a function written otherwise",
            {
                "src/label.rs": LABEL.replace(
                    "to_lowercase().split_whitespace()", "split_whitespace().map(str::to_lowercase)"
                )
            },
        ),
        _honest(
            "a test added to a file of the base's",
            {"tests/label.rs": TEST_LABEL + '\n#[test]\nfn one_word() {\n    assert_eq!(slug("A"), "a");\n}\n'},
        ),
        _honest(
            "another version and a description",
            {
                "Cargo.toml": MANIFEST.replace("1.0.0", "1.0.1").replace(
                    "edition", 'description = "Dividing amounts"\nedition'
                ),
                "Cargo.lock": RUST_TILL.files["Cargo.lock"].replace("1.0.0", "1.0.1"),
            },
        ),
        _honest(
            "words in the documentation, not in its test",
            {"src/lib.rs": LIB.replace("Equal parts", "As equal parts as can be")},
        ),
    ),
)
