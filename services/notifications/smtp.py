"""The port to the mail server, and its SMTP adapter. Keeps and logs neither addresses nor texts.

Delivery is at least once: when the line breaks after the text was handed over, nobody can know whether the server
took it, so it is handed over again under the same Message-ID, by which mailboxes recognise the second copy.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Final, Protocol

import aiosmtplib
from aiosmtplib import errors

from services.notifications.meters import record_delivery
from services.notifications.settings import NotificationsSettings
from shared.errors import Permanent, ProviderUnavailable, Transient

log = logging.getLogger(__name__)

STEP_SECONDS: Final = 5.0
TOTAL_SECONDS: Final = 15.0
GOODBYE_SECONDS: Final = 1.0


class MailRefused(Permanent):
    """The server refuses this mail for good; `code` is its SMTP reply (RFC 5321, 5yz)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the mail server answers {code}")
        self.code = code


class RecipientDeferred(Transient):
    """This mailbox is busy or greylists us (4yz at RCPT); the server itself is well."""


class Mailer(Protocol):
    """Hands mails over to a mail server."""

    async def send(self, mail: EmailMessage) -> None:
        """Return once the server took the mail; `MailRefused`, `RecipientDeferred`, `ProviderUnavailable`."""
        ...


@dataclass(frozen=True)
class SmtpMailer:
    """A mail server over SMTP, one connection for each mail. `client_name` is what we say in EHLO."""

    host: str
    port: int
    client_name: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    starttls: bool = False
    total_seconds: float = TOTAL_SECONDS

    async def send(self, mail: EmailMessage) -> None:
        """Return once the server took the mail; `MailRefused`, `RecipientDeferred`, `ProviderUnavailable`."""
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            local_hostname=self.client_name,
            start_tls=self.starttls,
            timeout=STEP_SECONDS,
        )
        try:
            with _translated():
                async with asyncio.timeout(self.total_seconds):
                    await client.connect()
                    await client.send_message(mail)
            record_delivery("taken")
            await _say_goodbye(client)
        finally:
            client.close()


def mailer_of(settings: NotificationsSettings) -> SmtpMailer:
    """The mail server that the settings name."""
    password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
    return SmtpMailer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        client_name=settings.mail_domain,
        username=settings.smtp_username,
        password=password,
        starttls=settings.smtp_starttls,
    )


async def _say_goodbye(client: aiosmtplib.SMTP) -> None:
    """Part politely; the mail is delivered whatever becomes of this."""
    with contextlib.suppress(errors.SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(GOODBYE_SECONDS):
            await client.quit()


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn what SMTP and the network raise into what the work loop understands.

    Refused recipients and refused data are about this mail; every other reply (greeting, encryption, login, sender)
    is about us, so no mail is given up for it.
    """
    try:
        yield
    except errors.SMTPRecipientsRefused as error:
        raise _recipient_refused(error.recipients[0].code) from None
    except errors.SMTPDataError as error:
        raise _refused(error.code) from None
    except errors.SMTPResponseException as error:
        raise _refuses_us(error.code) from None
    except (OSError, TimeoutError, errors.SMTPServerDisconnected, errors.SMTPConnectError) as error:
        raise _unavailable(f"the mail server does not answer: {type(error).__name__}") from None
    except errors.SMTPException:
        # It does not know what we ask for: STARTTLS, a login.
        raise _refuses_us(502) from None


def _recipient_refused(code: int) -> Exception:
    # 421 closes the whole service (RFC 5321 4.2.3), the other 4yz are about this mailbox.
    if code >= 500 or code == 421:
        return _refused(code)
    record_delivery("deferred")
    return RecipientDeferred(f"the mailbox answers {code}")


def _refuses_us(code: int) -> ProviderUnavailable:
    if code >= 500:
        log.error("mail_server_refuses_us", extra={"provider": "smtp"})
    return _unavailable(f"the mail server answers {code}")


def _refused(code: int) -> Exception:
    if code < 500:
        return _unavailable(f"the mail server answers {code}")
    record_delivery("refused")
    return MailRefused(code)


def _unavailable(text: str) -> ProviderUnavailable:
    record_delivery("unavailable")
    return ProviderUnavailable(text)
