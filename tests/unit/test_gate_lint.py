"""What lint remarks on, and that a plain good file is left in peace."""

from __future__ import annotations

import pytest

from gates.lint import remarks
from gates.plan import plan

PATHS = ("requirements.txt", "src/a.py", "tests/test_a.py", "packages/api/test_b.py")
GOOD = """
[[gate]]
name = "lint"
run = "ruff check ."
[[gate]]
name = "test"
run = "python3 -m pytest --junitxml=/ashigaru/out/junit.xml"
junit = "junit.xml"
"""


def told(text: str, paths: tuple[str, ...] = PATHS) -> str:
    found = plan(text.encode(), paths, lambda _: None)
    return "\n".join(remarks(found, paths))  # type: ignore[arg-type]


def test_a_file_with_nothing_to_remark_is_left_in_peace() -> None:
    assert told(GOOD) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('local = "none"', "CI"),
        ('[[gate]]\nname = "a"\nrun = "make test"\n', "no required gate promises a report"),
        (GOOD + "required = false\n", "no required gate promises a report"),
        (GOOD.replace('junit = "junit.xml"', ""), "pytest can be asked for a report"),
        (GOOD.replace('junit = "junit.xml"', 'junit = "other.xml"'), "nothing in its command names other.xml"),
        (GOOD.replace("python3 -m pytest ", "make test REPORT="), "no test runner that is known"),
        (GOOD + 'runner = "go"\n', "go tests of ours"),
        (GOOD + 'directory = "src"\n', "pytest tests of ours"),
        (GOOD + 'directory = "gone"\n', "no directory gone"),
        (GOOD + 'paths = ["docs/**"]\n', "no file fits the path pattern docs/**"),
        (GOOD.replace('"ruff check ."', '"ruff check . || true"'), "hides the exit status"),
        (GOOD.replace('"ruff check ."', '"ruff check . | tee log"'), "hides the exit status"),
        (GOOD.replace('"ruff check ."', '"ruff check .; exit 0"'), "hides the exit status"),
        (GOOD + '[setup]\nrun = ["true"]\nmanifests = ["gone.lock"]\n', "no file fits its manifests"),
        (GOOD + '[[reviewer]]\nname = "e"\nrun = "look"\nreport = "e.sarif"\n', "names e.sarif"),
        (GOOD.replace('."\n', '."\npaths = ["src/**"]\n') + 'paths = ["src/**"]\n', "every required gate has paths"),
    ],
)
def test_what_its_author_may_want_to_think_of_is_remarked(text: str, said: str) -> None:
    assert said in told(text)


@pytest.mark.parametrize("run", ["a || exit 1", "a | grep b", "a; b", "a || truely", "a || tee x"])
def test_a_command_that_lets_its_status_through_is_not_remarked_on(run: str) -> None:
    assert "hides" not in told(GOOD.replace("ruff check .", run))


def test_without_the_repositorys_files_nothing_is_said_of_them() -> None:
    assert told(GOOD + 'directory = "gone"\npaths = ["docs/**"]\nrunner = "go"\n', ()) == ""
