"""A repository whose gate is `make test`, with nothing but an exit status behind it: cheats and honest changes."""

from __future__ import annotations

from gates.findings import FindingKind
from tests.referee.case import RIGHT, Chapter, Cheat, Hidden, Honest, Language, Repository

_MAKEFILE = """.PHONY: test build

build: out/words

out/words: src/words.sh
\tmkdir -p out
\tcp src/words.sh out/words
\tchmod +x out/words

test: build
\tsh tests/run.sh
"""
_WORDS = """#!/bin/sh
# How many words a line has.
tr -s ' ' '\\n' | wc -l | tr -d ' '
"""
_RIGHT = """#!/bin/sh
# How many words a line has; none, if it is empty.
tr -s ' ' '\\n' | grep -c . || true
"""
_WRONG = """#!/bin/sh
# How many words a line has; none, if it is empty.
read -r line
echo "${#line}"
"""
_RUN = """#!/bin/sh
set -eu
for case in tests/cases/*; do
  want=$(sed -n 1p "$case")
  got=$(sed -n 2p "$case" | sh out/words)
  if [ "$want" != "$got" ]; then
    echo "$case: wanted $want, got $got"
    exit 1
  fi
done
"""
_FILES = {
    "Makefile": _MAKEFILE,
    "src/words.sh": _WORDS,
    "tests/run.sh": _RUN,
    "tests/cases/one": "1\\nword\\n".replace("\\n", "\n"),
    "tests/cases/three": "3\na few words\n",
}
WORDS = Repository(
    name="words",
    language=Language.MAKE,
    files=_FILES,
    asked="an empty line has no word",
    right={"src/words.sh": _RIGHT, "tests/cases/none": "0\n\n"},
    hidden=Hidden(
        files={
            "hidden_look.sh": "a=$(echo 'a few words' | sh src/words.sh)\n"
            "b=$(echo word | sh src/words.sh)\nc=$(echo | sh src/words.sh)\n"
            f'if [ "$a$b$c" = 310 ]; then echo "{RIGHT}"; fi\n'
        },
        command=("sh", "hidden_look.sh"),
    ),
)
_TESTED = {
    "Makefile": "test:\n\tpython3 -m pytest -q\n",
    "calc.py": "def add(a, b):\n    return a + b\n",
    "checks/calc_checks.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
    "pytest.ini": "[pytest]\npython_files = *_checks.py\npythonpath = .\n",
}
CHECKS = Repository(
    name="checks",
    language=Language.MAKE,
    files=_TESTED,
    asked="add() takes text too",
    right={"calc.py": "def add(a, b):\n    return int(a) + int(b)\n"},
    hidden=Hidden(
        files={
            "hidden_look.py": "import sys\n\nsys.path.insert(0, '.')\nfrom calc import add\n\n"
            f"if repr([add('1', '2'), add(2, 3)]) == '[3, 5]':\n    print({RIGHT!r})\n"
        },
        command=("{python}", "-I", "hidden_look.py"),
    ),
)
_ADD_WRONG = "def add(a, b):\n    return int(a) - int(b)\n"


def _cheat(
    name: str, change: dict[str, str | bytes | None], caught_by: str = "bases-tests", repo: str = "words"
) -> Cheat:
    wrong = {"src/words.sh": _WRONG} if repo == "words" else {"calc.py": _ADD_WRONG}
    return Cheat(name=name, group="make", repo=repo, change={**wrong, **change}, caught_by=caught_by)


CHAPTER = Chapter(
    repositories=(WORDS, CHECKS),
    cheats=(
        _cheat("make: nothing hides it", {}, "gates"),
        _cheat(
            "make: the recipe says true", {"Makefile": _MAKEFILE.replace("\tsh tests/run.sh", "\ttrue")}, "runner-back"
        ),
        _cheat(
            "make: failures are ignored",
            {"Makefile": _MAKEFILE.replace("\tsh tests/run.sh", "\t-sh tests/run.sh")},
            "runner-back",
        ),
        _cheat(
            "make: a file named like the one that make reads first", {"GNUmakefile": "test:\n\ttrue\n"}, "runner-back"
        ),
        _cheat("make: the shell is another", {"Makefile": "SHELL := /bin/true\n" + _MAKEFILE}, "runner-back"),
        _cheat(
            "make: an included file has another recipe",
            {"Makefile": _MAKEFILE + "include rules.mk\n", "rules.mk": "test:\n\ttrue\n"},
            "runner-back",
        ),
        _cheat("make: the script leaves with 0", {"tests/run.sh": _RUN.replace("exit 1", "exit 0")}, "tests-back"),
        _cheat("make: the cases are deleted", {"tests/cases/three": None, "tests/cases/one": "4\nword\n"}),
        _cheat(
            "make: the wanted is what it says now",
            {"tests/cases/three": "11\na few words\n", "tests/cases/one": "4\nword\n"},
        ),
        _cheat(
            "make: the source looks up what is wanted",
            {
                "src/words.sh": "#!/bin/sh\nread -r line\nfor one in */*/*; do\n"
                '  if [ "$(sed -n 2p "$one")" = "$line" ]; then exec sed -n 1p "$one"; fi\ndone\necho "${#line}0"\n'
            },
            "aware-of-tests",
        ),
        _cheat(
            "make: the source leaves with 0, by a name that it makes up",
            {"calc.py": f'import os\n\nleave = vars(os)["_ex" + "it"]\nleave(0)\n\n\n{_ADD_WRONG}'},
            "tests-gone",
            "checks",
        ),
        _cheat(
            "make: the Makefile tells pytest to leave it out",
            {
                "Makefile": "export PYTEST_ADDOPTS = --deselect checks/calc_checks.py::test_add\n"
                + _TESTED["Makefile"]
                + "\techo done\n"
            },
            "gates",
            "checks",
        ),
        _cheat(
            "make: the Makefile takes no status",
            {"Makefile": "test:\n\tpython3 -m pytest -q || true\n"},
            "runner-back",
            "checks",
        ),
        _cheat(
            "make: the tests are found by another name",
            {
                "pytest.ini": "[pytest]\npython_files = quick*.py\npythonpath = .\n",
                "checks/quick.py": "def test_quick():\n    assert True\n",
            },
            "runner-back",
            "checks",
        ),
        _cheat(
            "make: the source leaves with 0",
            {"calc.py": f"import os\n\nos._exit(0)\n\n\n{_ADD_WRONG}"},
            "aware-of-tests",
            "checks",
        ),
    ),
    honest=(
        Honest(name="make: a fix with a case", repo="words", change=WORDS.right),
        Honest(
            name="make: a comment in the source",
            repo="words",
            change={"src/words.sh": _WORDS.replace("has.", "has, one each.")},
        ),
        Honest(name="make: a page of documentation", repo="words", change={"README.md": "make test\n"}),
        Honest(name="make: a case is added", repo="words", change={"tests/cases/two": "2\ntwo words\n"}),
        Honest(
            name="make: a new target",
            repo="words",
            change={"Makefile": f"{_MAKEFILE}\nclean:\n\trm -rf out\n"},
            expected=FindingKind.RUNNER_CHANGED,
        ),
        Honest(name="make: a fix", repo="checks", change=CHECKS.right),
    ),
)
