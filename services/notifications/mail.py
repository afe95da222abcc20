"""A letter as an e-mail (RFC 5322): plain text and simple HTML. Pure; no value can add a header or markup.

The mail tells automata to keep quiet (RFC 3834) and carries the time of the status, not of its sending.
"""

import html
import re
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from hashlib import sha256
from typing import Final

from services.notifications.wording import Letter
from shared.errors import Permanent
from shared.identifiers import crockford

# RFC 5321 4.1.2, without quoted strings: nobody has such a mailbox, and they invite trouble.
_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class AddressInvalid(Permanent):
    """Not an address that mail can be sent to; the text never quotes it."""


@dataclass(frozen=True)
class Sender:
    """Who writes: the From address and the domain of Message-IDs."""

    address: str
    domain: str


def message_id(message: str, domain: str) -> str:
    """The Message-ID of a message: the same at each attempt, and telling nothing."""
    return f"<{_digest(message)}@{domain}>"


def mailbox(address: str) -> str:
    """The address as it goes into an envelope, an international domain in its ASCII form; AddressInvalid."""
    local, _, domain = address.strip().rpartition("@")
    try:
        plain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise AddressInvalid("the domain is not valid") from None
    labels = plain.split(".")
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressInvalid("the domain is not valid")
    if not _LOCAL.fullmatch(local) or len(local) > 64 or len(local) + len(plain) > 253:
        raise AddressInvalid("the mailbox is not valid")
    return f"{local}@{plain}"


def compose(letter: Letter, message: str, recipient: str, sender: Sender, sent_at: datetime) -> EmailMessage:
    """The mail about the message with this id; AddressInvalid for a recipient that is no address."""
    mail = EmailMessage()
    mail["From"] = Address(addr_spec=sender.address)
    mail["To"] = Address(addr_spec=mailbox(recipient))
    mail["Subject"] = letter.subject
    mail["Date"] = sent_at
    mail["Message-ID"] = message_id(message, sender.domain)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(as_text(letter), cte="quoted-printable")
    mail.add_alternative(as_html(letter), subtype="html", cte="quoted-printable")
    # Last: setting contents moves every Content-… header that is there into the first part.
    mail["Content-Language"] = letter.language
    # Not a random one, so that a second copy is the same to the last byte.
    mail.set_boundary(f"=_{_digest(message)}")
    return mail


def as_text(letter: Letter) -> str:
    """The letter as plain text, one paragraph a line."""
    blocks = (*letter.paragraphs, f"{letter.link_label}\n{letter.link}", "\n".join(letter.closing))
    return "\n\n".join(blocks) + "\n"


def as_html(letter: Letter) -> str:
    """The letter as HTML without anything to load."""
    paragraphs = "".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in letter.paragraphs)
    link = f'<p><a href="{html.escape(letter.link)}">{html.escape(letter.link_label)}</a></p>'
    closing = "<br>".join(html.escape(line) for line in letter.closing)
    head = f'<meta charset="utf-8"><title>{html.escape(letter.subject)}</title>'
    style = "font-family:sans-serif;font-size:16px;line-height:1.5;max-width:36em"
    body = f'<body style="{style}">{paragraphs}{link}<p>{closing}</p></body>'
    return f'<!DOCTYPE html>\n<html lang="{letter.language}"><head>{head}</head>{body}</html>\n'


def _digest(message: str) -> str:
    return crockford(sha256(message.encode()).digest()[:20])
