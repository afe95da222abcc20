"""What the sink received, for people (pages) and for tests (JSON)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import Response

from deploy.local.sandbox.base import build_app, page
from deploy.local.sandbox.faults import FaultBox
from deploy.local.sandbox.mail.sink import MailFaults, MailSettings, Sink, smtp_protocol
from deploy.local.sandbox.mail.store import Mailbox, Message


def create_app(settings: MailSettings) -> FastAPI:
    """The sink as an ASGI app; its SMTP port is open as long as the app runs."""
    mailbox = Mailbox(settings.data_dir)
    faults: FaultBox[MailFaults] = FaultBox(MailFaults)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        protocol = smtp_protocol(Sink(mailbox, faults))
        server = await asyncio.get_running_loop().create_server(protocol, settings.http_host, settings.smtp_port)
        yield
        server.close()
        await server.wait_closed()
        mailbox.close()

    app = build_app("Sandbox mail sink", faults, lifespan)
    _add_pages(app, mailbox)
    _add_controls(app, mailbox)
    return app


def _add_pages(app: FastAPI, mailbox: Mailbox) -> None:
    def known(number: int) -> Message:
        message = mailbox.get(number)
        if message is None:
            raise HTTPException(404, "no such message")
        return message

    @app.get("/")
    async def overview(recipient: str = "") -> Response:
        messages = mailbox.find(recipient, 200)
        return page("mails.html", language="en", messages=messages, count=mailbox.count(), recipient=recipient)

    @app.get("/messages/{number}")
    async def show(number: int) -> Response:
        return page("mail.html", language="en", message=known(number))

    @app.get("/messages/{number}/raw")
    async def source(number: int) -> Response:
        known(number)
        return Response(mailbox.raw(number), media_type="text/plain; charset=utf-8")


def _add_controls(app: FastAPI, mailbox: Mailbox) -> None:
    @app.get("/sandbox/messages/count")
    async def count() -> dict[str, int]:
        return mailbox.count()

    @app.get("/sandbox/messages")
    async def messages(recipient: str = "", limit: int = 100) -> dict[str, Any]:
        return {"messages": [message.as_json() for message in mailbox.find(recipient, limit)]}

    @app.delete("/sandbox/messages")
    async def clear() -> dict[str, int]:
        mailbox.clear()
        return mailbox.count()
