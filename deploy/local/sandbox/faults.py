"""Misbehaviour on demand: what can go wrong at every provider, and how it reaches the wire.

Applies to the provider's API only, never to `/sandbox/*` and `/health/*`. Lost when the process ends.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EXEMPT = ("/sandbox/", "/health/")
# Chance, not secrecy: which requests fail need not be unpredictable.
_CHANCE = random.Random()  # noqa: S311


class Faults(BaseModel):
    """The faults of any HTTP stand-in; a stand-in with more subclasses this."""

    model_config = ConfigDict(extra="forbid")

    hang_seconds: float = Field(
        default=0.0, ge=0, description="wait before the request is carried out, even if the caller gives up"
    )
    error_rate: float = Field(default=0.0, ge=0, le=1, description="share of requests answered with `status`, undone")
    status: int = Field(default=500, ge=400, le=599, description="the status of such an answer")
    lose_answers: float = Field(
        default=0.0, ge=0, le=1, description="share of requests carried out whose answer is cut off"
    )


F = TypeVar("F", bound=BaseModel)


class FaultBox(Generic[F]):
    """Holds the faults now in force; countable ones are used up by `take`."""

    def __init__(self, model: type[F]) -> None:
        self.model = model
        self.current: F = model()

    def set(self, values: F) -> None:
        """Replace all faults."""
        self.current = values

    def clear(self) -> None:
        """Behave well again."""
        self.current = self.model()

    def take(self, name: str) -> bool:
        """Use up one of the counted fault `name`; False when none is left."""
        left = int(getattr(self.current, name))
        if left <= 0:
            return False
        self.current = self.current.model_copy(update={name: left - 1})
        return True

    def describe(self) -> dict[str, str]:
        """Name -> meaning of every fault that applies here."""
        return {name: field.description or "" for name, field in self.model.model_fields.items()}


class FaultMiddleware:
    """Plays the faults of `box` on each request outside EXEMPT; `error_body` shapes a provider's own errors."""

    def __init__(self, app: ASGIApp, box: FaultBox[Any], error_body: Callable[[int], Mapping[str, Any]]) -> None:
        self.app = app
        self.box = box
        self.error_body = error_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, late, broken or not at all."""
        faults = self.box.current
        if scope["type"] != "http" or scope["path"].startswith(EXEMPT) or not isinstance(faults, Faults):
            await self.app(scope, receive, send)
            return
        if faults.hang_seconds:
            # Taken in first: a caller who loses patience meanwhile has sent the request all the same.
            receive = await _taken_in(receive)
            await asyncio.sleep(faults.hang_seconds)
        if _CHANCE.random() < faults.error_rate:
            await JSONResponse(self.error_body(faults.status), faults.status)(scope, receive, send)
        elif _CHANCE.random() < faults.lose_answers:
            await self.app(scope, receive, _discard)
            await _cut_off(send)
        else:
            await self.app(scope, receive, send)


async def _taken_in(receive: Receive) -> Receive:
    """Read the whole request now; the returned function hands it out later."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())

    async def replay() -> Message:
        return messages.pop(0) if messages else await receive()

    return replay


async def _discard(message: Message) -> None:
    """Take an answer and send nothing."""


async def _cut_off(send: Send) -> None:
    """Promise a body and never send it: the server closes the connection, the client cannot know the outcome."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
    await send({"type": "http.response.body", "body": b"", "more_body": True})
