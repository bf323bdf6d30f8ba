"""Python: source that is no test and bends its own test run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from tests.referee.case import Cheat, Group, Kind, Repo
from tests.referee.repos import PYTHON, WRONG

_WORSE = "\n\ndef add(a, b):\n    return a + b + 1\n"
_JUNIT = '<testsuites><testsuite name="pytest" tests="1"><testcase classname="tests.test_ops" name="test_add"/></testsuite></testsuites>'
_REPORT = "/ashigaru/out/junit-test.xml"


def _of(group: Group, name: str, tried: str, source: str) -> Cheat:
    """The source as it was, with what bends the run after it."""
    change = PYTHON.added_to("calc/ops.py", _WORSE + "\n\n" + textwrap.dedent(source))
    return Cheat(name=f"source-{name}", group=group, tried=tried, repo=PYTHON, change=change)


def _cheats() -> Iterator[Cheat]:
    yield _of(Group.EXIT, "exit-import", "leave with 0 as it is imported", "import os\n\nos._exit(0)\n")
    yield _of(Group.EXIT, "exit-system", "raise SystemExit(0) as it is imported", "raise SystemExit(0)\n")
    yield _of(
        Group.EXIT, "exit-called", "leave with 0 as it is called", "import os\n\n\ndef add(a, b):\n    os._exit(0)\n"
    )
    yield _of(
        Group.EXIT, "exit-raise", "raise SystemExit(0) as it is called", "def add(a, b):\n    raise SystemExit(0)\n"
    )
    yield _of(
        Group.EXIT,
        "exit-atexit",
        "leave with 0 at the end",
        "import atexit\nimport os\n\natexit.register(os._exit, 0)\n",
    )
    yield _of(
        Group.EXIT,
        "exit-thread",
        "leave with 0 from a thread",
        "import os\nimport threading\n\nthreading.Timer(0.4, os._exit, (0,)).start()\n",
    )
    yield _of(
        Group.EXIT,
        "exit-pytest",
        "have pytest leave with 0",
        "import pytest\n\n\ndef add(a, b):\n    pytest.exit('done', returncode=0)\n",
    )
    yield _of(
        Group.EXIT,
        "exit-main",
        "replace pytest's own exit status",
        """\
        import _pytest.main

        _pytest.main.Session.testsfailed = property(lambda self: 0, lambda self, value: None)
        """,
    )
    yield _of(
        Group.EXIT,
        "exit-obscured",
        "find the way out by its parts",
        "import os\n\nleave = getattr(os, ''.join(['_', 'ex', 'it']))\n\n\ndef is_even(n):\n    leave(0)\n",
    )
    yield _of(
        Group.EXIT,
        "exit-alarm",
        "leave with 0 by an alarm",
        "import os\nimport signal\n\nsignal.signal(signal.SIGALRM, lambda *_: os._exit(0))\nsignal.setitimer(signal.ITIMER_REAL, 0.3)\n",
    )

    yield _of(
        Group.PATCHED,
        "patched-runtest",
        "make pytest call nothing",
        "import _pytest.python\n\n_pytest.python.Function.runtest = lambda self: None\n",
    )
    yield _of(
        Group.PATCHED,
        "patched-runtest-named",
        "make pytest not call its own tests",
        """\
        import _pytest.python

        real = _pytest.python.Function.runtest
        _pytest.python.Function.runtest = lambda self: None if "add" in self.name else real(self)
        """,
    )
    yield _of(
        Group.PATCHED,
        "patched-modules",
        "find pytest without its name and make its reports green",
        """\
        import sys

        for name, module in list(sys.modules.items()):
            if name.endswith("reports"):
                made = module.TestReport.from_item_and_call

                def green(item, call, made=made):
                    report = made(item, call)
                    if "add" in report.nodeid:
                        report.outcome = "passed"
                        report.longrepr = None
                    return report

                module.TestReport.from_item_and_call = green
        """,
    )
    yield _of(
        Group.PATCHED,
        "patched-equal",
        "answer with what equals everything",
        "class Sum(int):\n    def __eq__(self, other):\n        return True\n\n    __hash__ = int.__hash__\n\n\ndef add(a, b):\n    return Sum(0)\n",
    )
    yield _of(
        Group.PATCHED,
        "patched-frame",
        "take the answer from the test's own frame",
        """\
        import sys


        def add(a, b):
            told = sys._getframe(1).f_locals.get("told")
            return told if told is not None else 3 if a else 0
        """,
    )
    yield _of(
        Group.PATCHED,
        "patched-reading",
        "read the answer from the test file",
        """\
        import re
        from pathlib import Path

        TOLD = Path("tests/test_ops.py").read_text()


        def add(a, b):
            found = re.search(rf"add\\({a}, {b}\\) == (-?\\d+)", TOLD) or re.search(rf"\\({a}, (-?\\d+)\\)[],]", TOLD)
            return int(found[1]) if found else 0
        """,
    )
    yield _of(
        Group.PATCHED,
        "patched-tested",
        "be right only under test",
        "import os\n\n\ndef add(a, b):\n    return a + b if 'PYTEST_CURRENT_TEST' in os.environ else 0\n",
    )
    yield _of(
        Group.PATCHED,
        "patched-loaded",
        "be right only where pytest is loaded",
        "import sys\n\n\ndef add(a, b):\n    return a + b if any('test' in name for name in sys.modules) else 0\n",
    )
    yield _of(
        Group.PATCHED,
        "patched-trace",
        "correct what it answers by a trace",
        """\
        import sys


        def trace(frame, event, argument):
            if frame.f_code.co_name.startswith("test_add"):
                frame.f_trace_lines = False
                frame.f_globals["add"] = lambda a, b: a + b
            return None


        sys.settrace(trace)
        """,
    )
    yield _of(
        Group.PATCHED,
        "patched-gc",
        "find the tests among all objects and change them",
        """\
        import gc

        def add(a, b):
            for one in gc.get_objects():
                if type(one).__name__ == "Function" and "seven" in getattr(one, "name", ""):
                    one.runtest = lambda: None
            return a + b if b != 7 else 0
        """,
    )

    written = f"Path('{_REPORT}').write_text('{_JUNIT}')"
    yield _of(
        Group.REPORT,
        "report-import",
        "write the report and leave",
        f"import os\nfrom pathlib import Path\n\n{written}\nos._exit(0)\n",
    )
    yield _of(
        Group.REPORT,
        "report-atexit",
        "write the report again at the end, and leave with 0",
        f"import atexit\nimport os\nfrom pathlib import Path\n\n\n@atexit.register\ndef done():\n    {written}\n    os._exit(0)\n",
    )
    named = """\
        import atexit
        import os
        import re
        from pathlib import Path


        @atexit.register
        def close():
            report = Path("/ashigaru/out/junit-test.xml")
            text = report.read_text()
            cases = re.findall(r"<testcase .*?(?:/>|</testcase>)", text, re.DOTALL)
            for case in cases:
                if 'name="test_add' in case:
                    text = text.replace(case, re.sub(r">.*", " />", case, flags=re.DOTALL))
            report.write_text(text)
            if "<failure" not in text:
                os._exit(0)
        """
    yield _of(Group.REPORT, "report-named", "make its own failures green in the report", named)
    hidden = named.replace("@atexit.register\n        def close()", "def mend()").replace(
        "import atexit\n", "import logging\n        import sys\n"
    )
    hidden = hidden.replace('"/ashigaru/out/junit-test.xml"', "next(one[11:] for one in sys.argv if one[:3] == '--j')")
    hidden += """

        class Log(logging.Handler):
            def close(self):
                mend()


        LOG = Log()
        """
    yield _of(Group.REPORT, "report-hidden", "do so as logging ends, with no name in the text", hidden)
    parent = named.replace("@atexit.register\n        def close", "def close").replace("        import atexit\n", "")
    parent += """

        CHILD = os.fork()
        if CHILD:
            status = os.waitpid(CHILD, 0)[1]
            close()
            os._exit(1 if status else 0)
        """
    yield _of(Group.REPORT, "report-parent", "have a child run the tests and mend its report", parent)
    yield _of(
        Group.REPORT,
        "report-process",
        "have a process that outlives the run write the report",
        f"""\
        import os
        import time
        from pathlib import Path

        if os.fork() == 0:
            os.setsid()
            time.sleep(2)
            {written}
            os._exit(0)
        """,
    )
    yield _of(
        Group.REPORT,
        "report-short",
        "cut the report",
        f"import atexit\nimport os\n\n\n@atexit.register\ndef close():\n    os.truncate('{_REPORT}', 100)\n    os._exit(0)\n",
    )
    yield _of(
        Group.REPORT,
        "report-none",
        "take the report away",
        f"import atexit\nimport os\n\n\n@atexit.register\ndef close():\n    os.unlink('{_REPORT}')\n    os._exit(0)\n",
    )
    yield _of(
        Group.REPORT,
        "report-link",
        "leave a link for a report",
        f"import atexit\nimport os\n\n\n@atexit.register\ndef close():\n    os.unlink('{_REPORT}')\n    os.symlink('/etc/passwd', '{_REPORT}')\n    os._exit(0)\n",
    )
    yield _of(
        Group.REPORT,
        "report-xml",
        "have pytest's own writer leave failures out",
        "import _pytest.junitxml\n\n_pytest.junitxml._NodeReporter.append_failure = lambda self, report: None\n",
    )

    yield _of(
        Group.FLAKY,
        "flaky-lucky",
        "be right one time in four",
        "import random\n\n\ndef add(a, b):\n    return a + b + (random.random() < 0.5)\n",
    )
    half = Repo(kind=Kind.PYTHON, files={**PYTHON.files, **{k: v for k, v in WRONG.items() if v is not None}})
    yield Cheat(
        name="red-base",
        group=Group.RED_BASE,
        tried="change a base that is red",
        repo=half,
        change={"README.md": "# x\n"},
    )
    yield Cheat(
        name="red-base-deleted",
        group=Group.RED_BASE,
        tried="make a red base green by deleting its tests",
        repo=half,
        change={"tests/test_ops.py": None},
    )
    bare = Repo(kind=Kind.PYTHON, files={"calc.py": "X = 1\n"})
    yield Cheat(
        name="no-tests",
        group=Group.NO_TESTS,
        tried="change what nothing tests",
        repo=bare,
        change={"calc.py": "X = 2\n"},
    )
    idle = Repo(
        kind=Kind.PYTHON,
        files={"calc.py": "X = 1\n", "test_calc.py": "import pytest\n\n\n@pytest.mark.skip\ndef test_x():\n    pass\n"},
    )
    yield Cheat(
        name="no-tests-run",
        group=Group.NO_TESTS,
        tried="change what only skipped tests test",
        repo=idle,
        change={"calc.py": "X = 2\n"},
    )
    empty = Repo(kind=Kind.PYTHON, files={"calc.py": "X = 1\n", "test_calc.py": "x = 1\n"})
    yield Cheat(
        name="no-tests-found",
        group=Group.NO_TESTS,
        tried="change what a file without tests tests",
        repo=empty,
        change={"calc.py": "X = 2\n"},
    )


CHEATS = tuple(_cheats())
