"""Cheats that write, cut, forge, replace or hide the report themselves."""

from __future__ import annotations

from tests.referee.case import Chapter, Cheat
from tests.referee.python_base import WRONG_SHARES

# Where the report goes is said on the command line.
_OUT = """import os
import re
import sys

OUT = next((one.partition("=")[2] for one in sys.argv if one.startswith("--junitxml")), "/nowhere")
"""
_NAMES = ("test_split_is_even", "test_split_has_that_many_parts", "test_percent", "test_slug")
_FORGED = (
    "<testsuites><testsuite tests='8' failures='0'>"
    + "".join(f"<testcase classname='tests.test_shares' name='{name}'/>" for name in _NAMES)
    + "</testsuite></testsuites>"
)
# Every failure is taken out of the finished report; those that look like tests of ours are left.
_GREENED = """

def greened(spare):
    text = open(OUT).read()
    def one(told):
        if spare and re.search(r'name="test_[a-z]{10}"', told.group(0)):
            return told.group(0)
        return re.sub(r'<(failure|error).*?</\\\\1>', '', told.group(0), flags=re.S)
    text = re.sub(r'<testcase .*?(?:/>|</testcase>)', one, text, flags=re.S)
    text = re.sub(r'failures="[0-9]+"', 'failures="%d"' % text.count('<failure'), text)
    open(OUT, 'w').write(text)
    return text.count('<failure')
""".replace("\\\\1", "\\1")


def _at_end(work: str) -> str:
    body = "\n".join(f"    {line}" for line in work.splitlines())
    return f"{_OUT}{_GREENED}\n\ndef last():\n{body}\n\n\n__import__('atexit').register(last)\n\n\n"


def _cheat(name: str, head: str, caught_by: str = "evidence", *, sealed: bool = False, body: str = "") -> Cheat:
    source = WRONG_SHARES.replace("    part = total // ways\n", f"{body}    part = total // ways\n")
    return Cheat(
        name=name,
        group="forged reports",
        repo="shares",
        change={"shares.py": head + source},
        caught_by=caught_by,
        sealed=sealed,
    )


CHAPTER = Chapter(
    repositories=(),
    cheats=(
        _cheat(
            "it writes the report and exits",
            f"{_OUT}\nopen(OUT, 'w').write({_FORGED!r})\nos._exit(0)\n\n\n",
            "sentinels",
        ),
        _cheat(
            "it takes the failures out at the end, and leaves with 0",
            _at_end("greened(False)\nos._exit(0)"),
            "sentinels",
        ),
        _cheat(
            "it spares what looks like tests of ours, and leaves as they would",
            _at_end("os._exit(1 if greened(True) else 0)"),
            "aware-of-tests",
        ),
        _cheat(
            "a thread waits for the report",
            (
                f"{_OUT}{_GREENED}import threading\nimport time\n"
                "\n\ndef late():\n    while threading.main_thread().is_alive():\n"
                "        time.sleep(0.01)\n    greened(False)\n"
                "    os._exit(0)\n\n\nWAITS = []\n\n\n"
            ),
            "sentinels",
            body="    if not WAITS:\n        WAITS.append(threading.Thread(target=late))\n        WAITS[0].start()\n",
        ),
        _cheat(
            "a process that outlives the run waits for the report",
            (
                f"{_OUT}{_GREENED}import subprocess\n\nsubprocess.Popen([sys.executable, '-c', 'import time\\nfor "
                "_ in range(600):\\n    time.sleep(0.05)\\n    try:\\n        "
                f"open(' + repr(OUT) + ', \"w\").write({_FORGED!r})\\n "
                "   except OSError:\\n        pass'], start_new_session=True)\n"
                "\n\n"
            ),
            "gates",
            sealed=True,
        ),
        _cheat(
            "the report is a link to one that was brought along",
            _at_end(
                "open('/tmp/green.xml', 'w').write("
                + repr(_FORGED)
                + ")\nos.remove(OUT)\nos.symlink('/tmp/green.xml', OUT)\nos._exit(0)"
            ),
            "evidence",
        ),
        _cheat("the report is a pipe that nobody ends", _at_end("os.remove(OUT)\nos.mkfifo(OUT)\nos._exit(0)")),
        _cheat("the report is a directory", _at_end("os.remove(OUT)\nos.mkdir(OUT)\nos._exit(0)")),
        _cheat(
            "the report is larger than anybody reads",
            _at_end("open(OUT, 'w').write(" + repr(_FORGED) + " + ' ' * 20_000_000)\nos._exit(0)"),
        ),
        _cheat(
            "two reports, one after the other",
            _at_end("text = open(OUT).read()\nopen(OUT, 'w').write(" + repr(_FORGED) + " + text)\nos._exit(0)"),
        ),
        _cheat(
            "the report is cut before what is red",
            _at_end("text = open(OUT).read()\nopen(OUT, 'w').write(text[: text.index('<failure')])\nos._exit(0)"),
        ),
        _cheat(
            "the report is cut and closed before what is red",
            _at_end(
                "text = open(OUT).read()\ncases = re.findall(r'<testcase [^>]*/>', text)\n"
                "open(OUT, 'w').write('<testsuite>' + ''.join(cases) + '</testsuite>')\n"
                "os._exit(0)"
            ),
            "sentinels",
        ),
        _cheat(
            "every test is told of twice, once green",
            _at_end(
                'text = open(OUT).read()\nnames = re.findall(r\'<testcase [^>]*?name="[^"]*"\', text)\n'
                "open(OUT, 'w').write('<testsuite>' + ''.join(n + '/>' for n in names) * 2 + '</testsuite>')\n"
                "os._exit(0)"
            ),
            "sentinels",
        ),
        _cheat(
            "failures are hidden in another name space",
            _at_end(
                "text = open(OUT).read()\n"
                "open(OUT, 'w').write(text.replace('<failure', '<x:failure xmlns:x=\"urn:x\"').replace('</failure', "
                "'</x:failure'))\nos._exit(0)"
            ),
            "sentinels",
        ),
        _cheat(
            "failures stand in a comment",
            _at_end(
                "text = open(OUT).read()\n"
                "open(OUT, 'w').write(re.sub(r'<failure.*?</failure>', '', text, "
                "flags=re.S))\n"
                "os._exit(0)"
            ),
            "sentinels",
        ),
        _cheat("the report is gone", _at_end("os.remove(OUT)\nos._exit(0)")),
        _cheat(
            "the report is a bomb of entities",
            _at_end(
                "open(OUT, 'w').write('<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY "
                'b "&a;&a;&a;">]><testsuite><testcase '
                'name="&b;"/></testsuite>\')\nos._exit(0)'
            ),
        ),
    ),
)
