"""`runner.ports.SecretScanner` on detect-secrets: formats and words alone.

Nothing that it does asks a service. Its entropy measure is off, for it takes every digest for a secret.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.core.scan import scan_line
from detect_secrets.settings import transient_settings

_MOST: Final = 20
_WINDOW: Final = 2000
_OVERLAP: Final = 300
_LEFT_OUT: Final = frozenset({"Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector"})
_BY_WORD: Final = "KeywordDetector"
# Of the library's filters those that look at the words alone. The one that heeds a comment in the line is not among
# them: whoever plants a secret can plant the comment.
_FILTERS: Final = (
    "is_sequential_string",
    "is_potential_uuid",
    "is_likely_id_string",
    "is_templated_secret",
    "is_prefixed_with_dollar_sign",
    "is_indirect_reference",
    "is_not_alphanumeric_string",
)


class DetectSecrets:
    """Thread-safe; the library's settings are one for the process, so one asks at a time."""

    def __init__(self) -> None:
        """Read the library's list of plugins."""
        self._turn = threading.Lock()
        kinds: list[type] = list(get_mapping_from_secret_type_to_class().values())
        plugins = {kind.__name__ for kind in kinds}
        self._plugins = sorted(plugins - _LEFT_OUT)

    def findings(self, lines: Sequence[str], *, words: bool) -> tuple[tuple[int, str], ...]:
        """See `SecretScanner.findings`."""
        found: list[tuple[int, str]] = []
        with self._turn, transient_settings(self._settings(words=words)):
            for index, line in enumerate(lines):
                kinds = sorted({str(one.type) for piece in _pieces(line) for one in scan_line(piece)})
                if kinds:
                    found.append((index, kinds[0]))
                if len(found) >= _MOST:
                    break
        return tuple(found)

    def _settings(self, *, words: bool) -> dict[str, Any]:
        names = [name for name in self._plugins if words or name != _BY_WORD]
        return {
            "plugins_used": [{"name": name} for name in names],
            "filters_used": [{"path": f"detect_secrets.filters.heuristic.{name}"} for name in _FILTERS],
        }


def _pieces(line: str) -> Iterator[str]:
    """The line in pieces that no expression takes long over, each with the end of the one before."""
    if line.strip():
        for start in range(0, len(line), _WINDOW):
            yield line[max(0, start - _OVERLAP) : start + _WINDOW]
