"""Faults the runner may raise. An outcome (a red gate, a refused merge) is a value, never one of these.

RunnerError                 str(e) is one sentence with a cure, fit to show a caller; detail goes to the log
  Rejected                  the caller's fault: repeating the call will not help
    BadIntent               an argument is missing, malformed or out of bounds
    UnknownRun              no run has that id
    UnknownRepo             the forge has no such repository
    RepoNotAllowed          the repository is not on the operator's allow-list
    NotPermitted            the caller's token lacks a scope
    NotPossible             the run is not in a state that allows it
  Unavailable               the world's fault: the same call may work later (retry_after_s)
    ForgeDown               the forge did not answer, or answered with a fault of its own
    EngineDown              the container engine did not answer
    DiskLow                 the host's disk, or the engine's, has too little room
  SandboxFault              a container could not be made to do its work
    ImageMissing            the image is not on this host
  CheckoutFault             git could not do its work
    PushRejected            the remote branch was not where it was expected
  RecordsFault              the records could not be read or written
    RecordsDown               nothing can be written down for now: the work stands still until it can
  Leaked                    a secret of ours stood in what was about to be kept or told; the run is quarantined
"""

from __future__ import annotations


class RunnerError(Exception):
    """Root of every fault; its text is one sentence that a person can act on."""


class Rejected(RunnerError):
    """The request cannot be carried out as asked; change it before asking again."""


class BadIntent(Rejected):
    """An argument is missing, malformed or out of bounds."""


class UnknownRun(Rejected):
    """No run has that id."""


class UnknownRepo(Rejected):
    """The forge has no such repository."""


class RepoNotAllowed(Rejected):
    """The repository is not on the operator's allow-list."""


class NotPermitted(Rejected):
    """The caller's token lacks a scope."""


class NotPossible(Rejected):
    """The run is not in a state that allows this."""


class Unavailable(RunnerError):
    """The world is not ready; the same request may work after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float = 30.0) -> None:
        """Keep the sentence for the caller and the seconds to wait before the next try."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ForgeDown(Unavailable):
    """The forge did not answer, or answered with a fault of its own."""


class EngineDown(Unavailable):
    """The container engine did not answer."""


class DiskLow(Unavailable):
    """The host's disk has less room than is to be left free."""

    def __init__(self, message: str) -> None:
        """Say what there is; a person has to make room, so the next try is minutes away."""
        super().__init__(message, retry_after_s=300.0)


class SandboxFault(RunnerError):
    """A container could not be made to do its work."""


class ImageMissing(SandboxFault):
    """The image is not on this host."""


class CheckoutFault(RunnerError):
    """Git could not do its work."""


class PushRejected(CheckoutFault):
    """The remote branch was not where it was expected to be."""


class RecordsFault(RunnerError):
    """The records could not be read or written."""


class RecordsDown(RecordsFault):
    """Nothing can be written down for now: the disk is full or fails, or somebody holds the database.

    Whoever does a step does it again when it is over: it has no outcome as long as none can be recorded.
    """


class Leaked(RunnerError):
    """A secret of ours stood in what was about to be kept or told; the sentence does not repeat it."""
