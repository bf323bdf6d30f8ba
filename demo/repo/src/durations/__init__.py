"""Durations as people write them."""

from durations.formatting import format_duration
from durations.parsing import parse_duration

__all__ = ["format_duration", "parse_duration"]
