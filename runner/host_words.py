"""What the host refuses, in words that name the cure. Pure."""

from __future__ import annotations

import errno
import os
from typing import Final

NO_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})
"""No more files can be opened, by this process or on this host."""
MORE_FILES: Final = "raise the daemon's LimitNOFILE"
TOO_MANY: Final = os.strerror(errno.EMFILE)
"""What a program in the C locale says of it."""


def refusal(exc: OSError) -> str:
    """One sentence on what the host refused, with its cure where there is only one."""
    cure = f"; {MORE_FILES}" if exc.errno in NO_FILES else ""
    return f"The host refused: {exc.strerror or exc}{cure}."
