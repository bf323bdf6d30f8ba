"""The machine's clock."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """`runner.ports.Clock` of this machine."""

    def now(self) -> float:
        """See `Clock.now`."""
        return time.time()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        time.sleep(seconds)


def boot_id() -> str:
    """Which boot of this host this is; "" where it cannot be told."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()[:64]
    except (OSError, UnicodeDecodeError):
        return ""


def up_s() -> float:
    """Seconds since the host booted, those among them in which it was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
