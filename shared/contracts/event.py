"""The base of every event and the register of all of them. Owns names and types, never a field of a certain event.

An event's class name is its one word: `DossierSubmitted` is published as `org.dossierbus.dossier.submitted.v1`
and handled by `on_dossier_submitted`.
"""

import re
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

PREFIX = "org.dossierbus"

Sealed = Annotated[
    str,
    Field(
        pattern=r"^sealed:v1:[a-z]+:[A-Za-z0-9_-]+$",
        max_length=131_072,
        description="A personal value, encrypted for one purpose of one dossier; unreadable once its key is deleted.",
        json_schema_extra={"x-classification": "sealed"},
    ),
]
Step = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="A step of the municipal service.")]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", description="A machine-readable reason.")]
Rappen = Annotated[int, Field(ge=0, le=100_000_000, description="An amount in the currency's minor unit.")]

_EVENTS: dict[str, type["Event"]] = {}


class Event(BaseModel):
    """One immutable fact. Subclasses declare the aggregate whose journal holds it."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    aggregate: ClassVar[str]
    type: ClassVar[str]
    word: ClassVar[str]

    def __init_subclass__(cls, *, aggregate: str, version: int = 1, **kwargs: Any) -> None:
        """Give the event its published type and register it."""
        super().__init_subclass__(**kwargs)
        cls.aggregate = aggregate
        cls.word = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.type = f"{PREFIX}.{aggregate}.{cls.word.removeprefix(f'{aggregate}_')}.v{version}"
        if cls.type in _EVENTS:
            raise TypeError(f"two events are named {cls.type}")
        _EVENTS[cls.type] = cls


def events() -> dict[str, type[Event]]:
    """Every known event class by its published type."""
    return dict(_EVENTS)


def event_class(published_type: str) -> type[Event] | None:
    """Return the class of a published type, or None for a type this release does not know."""
    return _EVENTS.get(published_type)
