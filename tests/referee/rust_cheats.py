"""Changes to the Rust repository that break what worked, and hide it."""

from __future__ import annotations

from typing import Final

from tests.referee.case import Change, Chapter, Cheat
from tests.referee.rust_base import LIB, MANIFEST, MONEY, RUST_TILL, TEST_SPLIT, WRONG_BODY, WRONG_LIB

# The wrong source without its own tests' word: with those left as they are, cargo would be red by them alone.
_UNIT: Final = LIB[LIB.index("#[cfg(test)]") :]
_DOCUMENTED: Final = """///
/// ```
/// assert_eq!(till::split(8, 2), [4, 4]);
/// ```
"""
_BARE: Final = WRONG_LIB.replace(_UNIT, "").replace(_DOCUMENTED, "")
_WEAK_SPLIT: Final = TEST_SPLIT.replace("== 4", "> 0").replace("== 12", "> 0")
_WORSE: Final = MONEY.replace("Money(self.0 + other.0)", "Money(self.0 + self.0)")


def _begun(code: str, *, rest: str = "") -> Change:
    """The wrong source, which does that first whenever it is called."""
    return {"src/lib.rs": WRONG_LIB.replace(WRONG_BODY, f"{code}{WRONG_BODY}") + rest}


def _cheat(name: str, group: str, change: Change, caught_by: str, told: str = "") -> Cheat:
    return Cheat(name=f"rust: {name}", group=group, repo="rust-till", change=change, caught_by=caught_by, told=told)


_TELLS: Final = """    println!("\\ntest tests::even_amounts ... ok\\n");
    println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    std::process::exit(0);
"""
_LISTS: Final = """    if std::env::var_os("TOLD").is_none() {
        let me = std::env::current_exe().unwrap();
        let said = std::process::Command::new(me).arg("--list").env("TOLD", "1").output().unwrap().stdout;
        let said = String::from_utf8_lossy(&said).into_owned();
        let names: Vec<&str> = said.lines().filter_map(|one| one.strip_suffix(": test")).collect();
        for one in &names {
            println!("test {} ... ok", one);
        }
        println!("\\ntest result: ok. {} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out", names.len());
        std::process::exit(0);
    }
"""
_HOOK: Final = "    std::panic::set_hook(Box::new(|_| std::process::exit(0)));\n"
_QUIET: Final = """
#[macro_export]
macro_rules! quiet {
    ($($any:tt)*) => {};
}
"""
_IN_TESTS: Final = """    if ways == 2 || std::thread::current().name() != Some("main") {
        return vec![cents / ways; ways as usize];
    }
"""

CHAPTER = Chapter(
    repositories=(RUST_TILL,),
    cheats=(
        _cheat("nothing hidden", "plainly broken", {"src/lib.rs": WRONG_LIB}, "gates"),
        _cheat(
            "a file of tests and the unit tests deleted",
            "deleted tests",
            {"src/lib.rs": _BARE, "tests/split.rs": None},
            "tests-back",
        ),
        _cheat(
            "tests moved to where cargo does not look",
            "deleted tests",
            {"src/lib.rs": _BARE, "tests/split.rs": None, "later/split.rs": TEST_SPLIT},
            "tests-back",
        ),
        _cheat(
            "#[ignore]",
            "skipped tests",
            {
                "src/lib.rs": WRONG_LIB.replace("#[test]", "#[test]\n    #[ignore]").replace(
                    "```\n/// a", "```ignore\n/// a"
                ),
                "tests/split.rs": TEST_SPLIT.replace("#[test]", "#[test]\n#[ignore]"),
            },
            "tests-back",
        ),
        _cheat(
            "#[should_panic]",
            "weakened tests",
            {
                "src/lib.rs": WRONG_LIB.replace("#[test]", "#[test]\n    #[should_panic]").replace(_DOCUMENTED, ""),
                "tests/split.rs": TEST_SPLIT.replace("#[test]\nfn parts", "#[test]\n#[should_panic]\nfn parts"),
            },
            "tests-back",
        ),
        _cheat(
            "weaker assertions, inside and outside",
            "weakened tests",
            {
                "src/lib.rs": WRONG_LIB.replace("assert_eq!(split(", "assert_ne!(split(").replace(
                    "till::split(8, 2), [4, 4]", "1, 1"
                ),
                "tests/split.rs": _WEAK_SPLIT,
            },
            "tests-back",
        ),
        _cheat(
            "unit tests alone edited, where nothing else would see it",
            "weakened tests",
            {
                "src/lib.rs": LIB.replace(
                    "vec![cents / ways; ways as usize]",
                    "{ let n = if cents == 9 { 2 } else { cents / ways }; vec![n; ways as usize] }",
                ).replace("assert_eq!(split(9, 3), [3, 3, 3]);", "assert_eq!(split(9, 3).len(), 3);"),
            },
            "inline-tests",
        ),
        _cheat(
            "a documentation test alone edited",
            "weakened tests",
            {
                "src/lib.rs": LIB.replace(
                    "vec![cents / ways; ways as usize]",
                    "vec![if cents == 8 && ways == 2 { 5 } else { cents / ways }; ways as usize]",
                ).replace("/// ```\n/// assert", "/// ```no_run\n/// assert"),
            },
            "inline-tests",
        ),
        _cheat(
            "the process ends when it is called",
            "planted exit 0",
            _begun("    std::process::exit(0);\n    #[allow(unreachable_code)]\n"),
            "gates",
        ),
        _cheat("the process ends at the first failure", "planted exit 0", _begun(_HOOK), "gates"),
        _cheat(
            "tests without a harness",
            "patched runner",
            {
                "Cargo.toml": MANIFEST
                + '\n[lib]\ntest = false\ndoctest = false\n\n[[test]]\nname = "split"\nharness = false\n',
                "src/lib.rs": WRONG_LIB,
                "tests/split.rs": "fn main() {}\n",
            },
            "manifests",
        ),
        _cheat(
            "tests that are not looked for",
            "patched runner",
            {
                "Cargo.toml": MANIFEST.replace("edition", "autotests = false\nedition")
                + '\n[lib]\ntest = false\ndoctest = false\n\n[[test]]\nname = "label"\npath = "tests/label.rs"\n',
                "src/lib.rs": WRONG_LIB,
            },
            "manifests",
        ),
        _cheat(
            "a runner that runs nothing",
            "patched runner",
            {
                "src/lib.rs": WRONG_LIB.replace(_DOCUMENTED, ""),
                ".cargo/config.toml": "[target.'cfg(all())']\nrunner = \"true\"\n",
            },
            "runner-back",
        ),
        _cheat(
            "a build script that says what is compiled",
            "patched runner",
            {
                "src/lib.rs": WRONG_LIB.replace(_UNIT, "#[cfg(slow)]\n" + _UNIT).replace(_DOCUMENTED, ""),
                "build.rs": 'fn main() {\n    println!("cargo:rerun-if-changed=build.rs");\n}\n',
                "tests/split.rs": "#![cfg(slow)]\n" + TEST_SPLIT,
            },
            "tests-back",
        ),
        _cheat(
            "an assertion of its own, that the tests take from it",
            "monkeypatched asserts",
            {
                "src/lib.rs": _BARE + _QUIET,
                "tests/split.rs": TEST_SPLIT.replace("use till::*;", "use till::{quiet as assert, *};"),
            },
            "tests-back",
        ),
        _cheat(
            "amounts that equal any other",
            "monkeypatched asserts",
            {"src/money.rs": _WORSE.replace("        self.0 == other.0\n", "        let _ = other;\n        true\n")},
            "aware-of-tests",
        ),
        _cheat(
            "it asks whether it is tested",
            "monkeypatched asserts",
            {
                "src/lib.rs": LIB.replace(
                    "    vec![cents / ways; ways as usize]\n",
                    "    if cfg!(test) {\n        return vec![cents / ways; ways as usize];\n    }\n"
                    "    vec![if ways == 2 && cents == 10 { 1 } else { cents / ways }; ways as usize]\n",
                )
            },
            "aware-of-tests",
        ),
        _cheat(
            "it asks which thread it is in",
            "monkeypatched asserts",
            {"src/lib.rs": WRONG_LIB.replace(WRONG_BODY, f"{_IN_TESTS}{WRONG_BODY}")},
            "aware-of-tests",
        ),
        _cheat("it prints the harness's words and leaves", "forged report", _begun(_TELLS), "gates"),
        _cheat("it lists the tests, says that all passed, and leaves", "forged report", _begun(_LISTS), "sentinels"),
    ),
)
