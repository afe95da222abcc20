"""The SMTP side of the mail sink: accepts, refuses, hangs or drops connections, as the faults want it."""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import fnmatch

from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import BaseModel, ConfigDict, Field

from deploy.local.sandbox.faults import FaultBox
from deploy.local.sandbox.mail.store import Mailbox
from deploy.local.sandbox.settings import SandboxSettings

_LARGEST_MESSAGE_BYTES = 10 * 1024 * 1024
# Chance, not secrecy: which messages fail need not be unpredictable.
_CHANCE = random.Random()  # noqa: S311


class MailSettings(SandboxSettings):
    """`SMTP_PORT` on the same host takes the mail; `HTTP_PORT` shows it."""

    http_port: int = 8203
    smtp_port: int = 8225


class MailFaults(BaseModel):
    """Faults of the mail server; they act on SMTP, never on the pages."""

    model_config = ConfigDict(extra="forbid")

    hang_seconds: float = Field(default=0.0, ge=0, description="wait after DATA before the message is kept")
    error_rate: float = Field(default=0.0, ge=0, le=1, description="share of messages refused after DATA with `status`")
    status: int = Field(default=451, ge=400, le=599, description="SMTP code of such a refusal; 4xx means try again")
    defer_recipients: str = Field(default="", description="450 at RCPT for recipients matching this pattern (* and ?)")
    reject_recipients: str = Field(default="", description="550 at RCPT for recipients matching this pattern (* and ?)")
    drop_after_data: int = Field(default=0, ge=0, description="the next N messages are kept, then the line goes dead")


class Sink:
    """aiosmtpd's handler: one for all connections."""

    def __init__(self, mailbox: Mailbox, faults: FaultBox[MailFaults]) -> None:
        self._mailbox = mailbox
        self._faults = faults

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient unless a fault says otherwise."""
        faults = self._faults.current
        if faults.reject_recipients and fnmatch(address.lower(), faults.reject_recipients.lower()):
            return "550 5.1.1 No such recipient here"
        if faults.defer_recipients and fnmatch(address.lower(), faults.defer_recipients.lower()):
            return "450 4.2.1 Mailbox busy, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        """Keep the message and answer, late, with an error or not at all."""
        faults = self._faults.current
        if faults.hang_seconds:
            await asyncio.sleep(faults.hang_seconds)
        if _CHANCE.random() < faults.error_rate:
            return f"{faults.status} {faults.status // 100}.3.0 Refused on request"
        recipients = [str(recipient) for recipient in envelope.rcpt_tos]
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._mailbox.keep(_as_bytes(envelope.content), envelope.mail_from or "", recipients, now)
        # The sender cannot know whether the message was taken: the case that duplicates come from.
        if self._faults.take("drop_after_data") and server.transport is not None:
            server.transport.close()
        return "250 2.0.0 Kept"


def smtp_protocol(sink: Sink) -> Callable[[], SMTP]:
    """A factory for `loop.create_server`."""
    return lambda: SMTP(
        sink, data_size_limit=_LARGEST_MESSAGE_BYTES, enable_SMTPUTF8=True, hostname="sandbox.invalid", ident="sandbox"
    )


def _as_bytes(content: bytes | str | None) -> bytes:
    return content.encode() if isinstance(content, str) else content or b""
