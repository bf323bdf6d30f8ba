"""Facts and inputs of rounds as JSON, as they are checkpointed."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from runner.facts import Fact
from runner.model import RoundInput

_FACT: TypeAdapter[Fact] = TypeAdapter(Annotated[Fact, Field(discriminator="kind")])
_INPUT: TypeAdapter[RoundInput] = TypeAdapter(RoundInput)


def fact_to_json(fact: Fact) -> dict[str, Any]:
    """The fact as JSON-ready data."""
    dumped: dict[str, Any] = _FACT.dump_python(fact, mode="json")
    return dumped


def fact_from_json(data: object) -> Fact:
    """The fact that `fact_to_json` wrote; raises pydantic.ValidationError on anything else."""
    return _FACT.validate_python(data)


def input_to_json(round_input: RoundInput) -> dict[str, Any]:
    """The round's input as JSON-ready data."""
    dumped: dict[str, Any] = _INPUT.dump_python(round_input, mode="json")
    return dumped


def input_from_json(data: object) -> RoundInput:
    """The input that `input_to_json` wrote; raises pydantic.ValidationError on anything else."""
    return _INPUT.validate_python(data)
