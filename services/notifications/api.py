"""What staff see of messages: states, times and reasons. Never an address, a name or a text."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from services.notifications.domain import Message
from shared.auth import requires
from shared.contracts.status import Language, StatusCode
from shared.journal import Journal, Outcome
from shared.relay import dossier_of
from shared.web.pages import Cursor, Limit, Page, read_cursor, write_cursor
from shared.web.problems import NotFound

MessageId = Annotated[
    str, Path(alias="id", max_length=80, pattern=r"^[0-9a-z-]+:\d+$", description="Id of the status event.")
]
DossierId = Annotated[str, Query(max_length=60, pattern=r"^[0-9a-z-]+$", description="Messages of this dossier.")]


class MessageView(BaseModel):
    """A message without whom it went to and what it said."""

    model_config = ConfigDict(frozen=True)

    id: str
    dossier: str
    status: StatusCode = Field(description="The public status it tells of.")
    channel: Literal["email"] = "email"
    language: Language
    state: Literal["queued", "sent", "failed", "suppressed"]
    reason: str | None = Field(description="Why it failed or was suppressed.")
    attempts: int = Field(description="How often it was handed over until it was taken.")
    status_since: str
    send_by: str
    changed_at: str

    @classmethod
    def of(cls, found: Outcome[Message]) -> Self:
        """The view of a stored message."""
        values = found.state.model_dump(include=set(cls.model_fields))
        return cls(id=found.subject, dossier=dossier_of(found.subject), state=found.state.phase, **values)


def routes(messages: Journal[Message], cursor_key: bytes) -> APIRouter:
    """The routes over the messages; `cursor_key` signs the marks of lists."""
    router = APIRouter(prefix="/v1", tags=["messages"], dependencies=[Depends(requires("operator", "caseworker"))])

    @router.get("/messages")
    async def list_messages(dossier: DossierId, limit: Limit = 20, cursor: Cursor = None) -> Page[MessageView]:
        """A dossier's messages, oldest first."""
        scope = f"messages/{dossier}"
        position = read_cursor(cursor_key, scope, cursor)
        after = int(position[0]) if position else 0
        waiting = [number for number in await _numbers(messages, dossier) if number > after]
        found = [await messages.state(f"{dossier}:{number}") for number in waiting[:limit]]
        following = write_cursor(cursor_key, scope, [waiting[limit - 1]]) if len(waiting) > limit else None
        return Page(items=[MessageView.of(outcome) for outcome in found if outcome], next=following)

    @router.get("/messages/{id}")
    async def read_message(message: MessageId) -> MessageView:
        """How a message stands."""
        found = await messages.state(message)
        if found is None:
            raise NotFound
        return MessageView.of(found)

    return router


async def _numbers(messages: Journal[Message], dossier: str) -> list[int]:
    """The sequences of a dossier's statuses; as ids they would sort 10 before 2."""
    prefix, page = f"{dossier}:", 1000
    found = await messages.store.subjects(prefix, page)
    return sorted(int(subject.removeprefix(prefix)) for subject in found if subject.startswith(prefix))
