"""Faults of the arbiter.

GateError
  BadGateSpec     the gate file does not say what a gate file may say
"""

from __future__ import annotations


class GateError(Exception):
    """Root of the arbiter's faults; its text is one sentence that a person can act on."""


class BadGateSpec(GateError):
    """The gate file does not say what a gate file may say; the text names the place and the cure."""
