"""Live status by server-sent events. Event ids are the dossier's sequence, so a reconnect misses nothing.

Browsers' EventSource can send no header: a one-time ticket, bound to the dossier and good for a minute, opens the
stream; the ticket's address names the language of who asked for it, and a client that reconnects with a new ticket
adds `last_event_id` to it. Where headers can be sent, `Last-Event-ID` and `Accept-Language` do.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from services.intake.api.counter import Counter
from services.intake.api.dossiers import Citizen, DossierId
from services.intake.api.views import timeline_entry
from shared.auth import public
from shared.contracts.status import Language
from shared.errors import StorageUnavailable
from shared.store.changes import Changes
from shared.web.headers import CallerLanguage
from shared.web.problems import NotAuthenticated

TICKET_LENGTH: Final = timedelta(seconds=60)
HEARTBEAT_SECONDS: Final = 15.0
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"text/event-stream": {}}, "description": "Events `status` and `timeline`."}
}


class Ticket(BaseModel):
    """Opens the stream once."""

    model_config = ConfigDict(frozen=True)
    ticket: str
    url: str


def routes(counter: Counter, changes: Changes) -> APIRouter:
    """Return the routes of the live status."""
    router = APIRouter(prefix="/v1/dossiers", tags=["live"])

    @router.post("/{dossier_id}/tickets", status_code=201)
    async def ticket(dossier_id: DossierId, caller: Citizen, language: CallerLanguage) -> Ticket:
        """Get a ticket for the stream. Needs no Idempotency-Key: an unused ticket is forgotten."""
        await counter.own(dossier_id, caller)
        issued = await counter.tickets.issue(dossier_id, TICKET_LENGTH)
        return Ticket(ticket=issued, url=f"/v1/dossiers/{dossier_id}/stream?ticket={issued}&language={language}")

    @router.get(
        "/{dossier_id}/stream",
        response_class=StreamingResponse,
        responses=_STREAM,
        dependencies=[Depends(public("a one-time ticket opens it, see POST …/tickets"))],
    )
    async def stream(
        dossier_id: DossierId,
        ticket: Annotated[str, Query(pattern=r"^[0-9a-z]{20,64}$")],
        accepted: CallerLanguage,
        language: Annotated[Language | None, Query()] = None,
        last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,15}$")] = None,
        after: Annotated[str | None, Query(alias="last_event_id", pattern=r"^\d{1,15}$")] = None,
    ) -> StreamingResponse:
        """Follow a dossier from the event after Last-Event-ID (or `last_event_id`) until it ends."""
        if not await counter.tickets.redeem(ticket, dossier_id):
            raise NotAuthenticated
        follow = _follow(counter, changes, dossier_id, int(last_event_id or after or 0), language or accepted)
        return StreamingResponse(
            follow, media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )

    return router


async def _follow(
    counter: Counter, changes: Changes, dossier_id: str, after: int, language: Language
) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    async with changes.listening(dossier_id) as woken:
        while True:
            woken.clear()
            news = await _news(counter, dossier_id, after, language)
            after = news.sequence
            yield news.text
            if news.ended:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), HEARTBEAT_SECONDS)


class _News(NamedTuple):
    text: bytes
    sequence: int
    ended: bool


async def _news(counter: Counter, dossier_id: str, after: int, language: Language) -> _News:
    """Return what came after a sequence: each event, then the present status; a heartbeat if nothing did."""
    try:
        news = [one for one in await counter.dossiers.recorded(dossier_id) if one.sequence > after]
        found = await counter.dossiers.state(dossier_id)
    except StorageUnavailable:
        return _News(b": waiting\n\n", after, ended=False)
    if not news or found is None:
        return _News(b": still here\n\n", after, ended=found is not None and found.state.ending is not None)
    last = news[-1]
    texts = [_event("timeline", one.sequence, timeline_entry(one)) for one in news]
    status = _event("status", last.sequence, counter.view(found, language))
    return _News(b"".join([*texts, status]), last.sequence, found.state.ending is not None)


def _event(kind: str, sequence: int, data: BaseModel) -> bytes:
    return f"id: {sequence}\nevent: {kind}\ndata: {data.model_dump_json()}\n\n".encode()
