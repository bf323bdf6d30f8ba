"""What the durable engine writes down is JSON, and what it reads back is never code."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from dbos import Serializer
from dbos._serialization import DefaultSerializer  # no public name; see `refuse_pickle`

_FAULT: Final = "ashigaru.fault"
_MAX_FAULT_CHARS: Final = 2000


class RecordedFault(Exception):
    """A fault as it was written down; its text is the repr of what was raised then."""


class JsonOnly(Serializer):
    """Inputs and facts as JSON; an exception as its repr, bounded. Raises TypeError for anything else."""

    def serialize(self, data: Any) -> str:
        """The data as JSON."""
        if isinstance(data, Exception):
            data = {_FAULT: repr(data)[:_MAX_FAULT_CHARS]}
        return json.dumps(data, separators=(",", ":"))

    def deserialize(self, serialized_data: str) -> Any:
        """What `serialize` was given; an exception comes back as RecordedFault."""
        data = json.loads(serialized_data)
        if isinstance(data, dict) and data.keys() == {_FAULT}:
            return RecordedFault(data[_FAULT])
        return data

    def name(self) -> str:
        """What rows written by this are marked with."""
        return "json"


def refuse_pickle() -> None:
    """Have the engine refuse to unpickle, for the whole process.

    It unpickles any row that is marked as a pickle, whichever serializer it is given: without this, whoever can
    write one row of its database runs code in the daemon. Repeats change nothing.
    """
    DefaultSerializer.deserialize = _refused  # type: ignore[assignment, method-assign]


def _refused(*_: object) -> NoReturn:
    raise TypeError("a row of the round engine's database is marked as a pickle; it is not read")
