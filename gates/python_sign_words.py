"""The names that signs in Python source are told by: modules, attributes, functions, texts. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

TEST_LIBRARIES: Final = frozenset({"pytest", "_pytest", "unittest", "nose", "nose2", "xdist", "pluggy", "coverage"})
LIBRARY_NAME: Final = re.compile(r"_?py\.?test(?:[_.][\w.]*)?|unittest(?:\.\w+)*|nose2?")
INNER_NAME: Final = re.compile(
    r"_exit|_getframe|settrace|setprofile|f_back|f_locals|runtest|testsfailed"
    r"|pytest_\w+|/proc/.*cmdline"
)
NAMES: Final[Mapping[str, re.Pattern[str]]] = {
    "names a variable of the test run": re.compile(r"\bPYTEST_\w+|\bTOX_ENV\w*|\bCOVERAGE_\w+"),
    "names where the judge's files lie": re.compile(r"(?<![\w.-])/ashigaru(?:/|$)"),
    "names a test report": re.compile(
        r"junit|xunit|test[-_]?report|\.pytest_cache|testsuites?>|<testcase", re.IGNORECASE
    ),
    "names what sets tests up": re.compile(r"\bconftest\b|\bsitecustomize\b|\busercustomize\b|\.pth\b|\bpytest\.ini\b"),
    "names test files": re.compile(r"(?:^|[/\\])tests?[/\\]\S|(?:^|[/\\])test_[\w*]+\.py|\w_test\.py"),
}
ENDS: Final = frozenset({"os._exit", "os.abort", "signal.raise_signal", "signal.alarm"})
ENDS_TOO: Final = frozenset({"signal.setitimer", "signal.pthread_kill", "faulthandler.dump_traceback_later"})
LOOKS: Final = frozenset(
    {
        "inspect.stack",
        "inspect.currentframe",
        "inspect.trace",
        "inspect.getouterframes",
        "sys._getframe",
        "sys._current_frames",
        "traceback.extract_stack",
        "traceback.format_stack",
        "traceback.print_stack",
        "traceback.walk_stack",
    }
)
FRAMES: Final = frozenset({"f_back", "gi_frame", "cr_frame", "tb_frame"})
TRACES: Final = frozenset(
    {
        "sys.settrace",
        "sys.setprofile",
        "sys.addaudithook",
        "sys.monitoring",
        "threading.settrace",
        "threading.setprofile",
        "sys.meta_path",
        "sys.path_hooks",
        "gc.get_objects",
        "gc.get_referrers",
        "gc.get_referents",
        "ctypes.pythonapi",
        "sys.modules",
        "sys.argv",
        "sys.orig_argv",
    }
)
BESIDE: Final = frozenset({"os.fork", "os.forkpty", "os.setsid", "os.daemon", "os.posix_spawn"})
BEGINS: Final = frozenset(
    {"threading.Thread", "threading.Timer", "multiprocessing.Process", "_thread.start_new_thread"}
)
BEGINS_TOO: Final = frozenset(
    {"subprocess.Popen", "subprocess.run", "subprocess.call", "os.system", "os.popen", "os.spawnl"}
)
EXITS: Final = frozenset({"sys.exit", "exit", "quit", "SystemExit"})
ALARMS: Final = ("SIGALRM", "SIGPROF", "SIGVTALRM")
DECODES: Final = re.compile(r"(?:.*\.)?(?:b64decode|b85decode|b32decode|decompress|loads|fromhex|unhexlify|decode)")
# What is set on the standard library by programs that mean nothing by it.
SETTABLE: Final = re.compile(
    r"sys\.(?:std(?:out|err|in)|path|excepthook|argv|dont_write_bytecode|tracebacklimit|ps1|ps2)|logging\..*|warnings\..*|os\.environ|"
    r"socket\.socket|ssl\.\w+|threading\.excepthook|locale\..*|decimal\..*|mimetypes\..*|csv\..*|json\.encoder\.\w+"
)
