"""An application with one route for each thing that the web frame does. Only tests use it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, FastAPI, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from shared.auth import Caller, public, requires
from shared.errors import StorageUnavailable
from shared.language import texts
from shared.testing.issuer import FakeIssuer
from shared.testing.web import KEY, settings
from shared.web.app import create_app
from shared.web.headers import CallerLanguage, ExpectedVersion, IdempotencyKey, check_version, etag
from shared.web.pages import Cursor, Limit, Page, read_cursor, write_cursor
from shared.web.problems import Conflict

OPEN: Final = [Depends(public("a test"))]
WRITE: Final = {"Idempotency-Key": "key-12345"}


class Pickup(BaseModel):
    """One of two kinds of a union."""

    kind: Literal["pickup"]


class Post(BaseModel):
    """The other kind."""

    kind: Literal["post"]
    street: str


class Form(BaseModel):
    """A body with the usual kinds of fields."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=20)
    instalments: int = Field(ge=1, le=12)
    kind: Literal["a", "b"] = "a"
    children: list["Form"] = []
    delivery: Annotated[Pickup | Post, Field(discriminator="kind")] | None = None


class AlreadyPaid(Conflict):
    """A service's own problem."""

    slug = "already-paid"
    title = texts("Schon bezahlt", "Déjà payé", "Già pagato", "Already paid")


def application(issuer: FakeIssuer, **more: Any) -> FastAPI:
    """An application with one route for each thing to see."""
    app = create_app("Test", "intake", settings=settings(), verifier=issuer.verifier(), **more)

    @app.post("/v1/forms/{number}", dependencies=OPEN)
    async def write(number: int, form: Form, key: IdempotencyKey, expected: ExpectedVersion) -> dict[str, Any]:
        check_version(expected, 7)
        return {"number": number, "name": form.name, "key": key}

    @app.get("/v1/forms/{number}", dependencies=OPEN)
    async def read(number: int, response: Response, language: CallerLanguage) -> dict[str, Any]:
        response.headers["ETag"] = etag(7)
        return {"language": language}

    @app.get("/v1/forms", dependencies=OPEN)
    async def listed(limit: Limit = 2, cursor: Cursor = None) -> Page[int]:
        position = read_cursor(KEY, "forms", cursor)
        start = int(position[0]) if position else 0
        return Page(items=list(range(start, start + limit)), next=write_cursor(KEY, "forms", (start + limit,)))

    @app.get("/v1/me")
    async def me(caller: Annotated[Caller, Depends(requires("citizen", assurance=2))]) -> dict[str, str]:
        return {"subject": caller.subject}

    @app.get("/v1/fails/{how}", dependencies=OPEN)
    async def fails(how: str) -> None:
        if how == "bug":
            raise RuntimeError("Lea Muster, 756.9217.0769.85")
        raise StorageUnavailable("away") if how == "storage" else AlreadyPaid()

    @app.get("/v1/stream", dependencies=OPEN)
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"data: 1\n\n"
            yield b"data: 2\n\n"

        return StreamingResponse(chunks(), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})

    return app
