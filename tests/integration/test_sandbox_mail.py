"""The mail sink, spoken to with the mail library the product uses."""

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import httpx
import pytest

from deploy.local.sandbox.mail import MailSettings, create_app
from deploy.local.sandbox.testing import free_port, serving


@dataclass(frozen=True)
class Sink:
    """A running sink: its SMTP port and its HTTP side."""

    smtp_port: int
    http: httpx.Client

    async def send(self, recipient: str = "lea@example.ch", message_id: str = "<m1@dossierbus>") -> None:
        """Send one message as the notifications service would."""
        message = EmailMessage()
        message["From"], message["To"] = "schalter@example.ch", recipient
        message["Subject"], message["Message-ID"] = "Ihr Antrag ist geprüft", message_id
        message.set_content("Grüezi Lea Muster\nNeues Dokument: http://127.0.0.1:9/dossiers/1 <b>")
        message["Content-Language"] = "de"
        message.add_alternative("<p>Grüezi</p>", subtype="html")
        await aiosmtplib.send(message, hostname="127.0.0.1", port=self.smtp_port, timeout=3, start_tls=False)

    def faults(self, **values: Any) -> None:
        """Ask for misbehaviour."""
        assert self.http.put("/sandbox/faults", json=values).status_code == 200

    def count(self) -> dict[str, int]:
        """Messages and distinct Message-IDs."""
        return dict(self.http.get("/sandbox/messages/count").json())


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    """A sink on two free ports."""
    port, smtp_port = free_port(), free_port()
    app = create_app(MailSettings(data_dir=tmp_path, http_port=port, smtp_port=smtp_port))
    with serving(app, port) as url, httpx.Client(base_url=url, timeout=5) as client:
        yield Sink(smtp_port, client)


async def test_message_is_kept_with_what_a_test_wants_to_know(sink: Sink) -> None:
    """A sent message is found by its recipient with Message-ID, subject, language and plain text."""
    await sink.send()
    (message,) = sink.http.get("/sandbox/messages", params={"recipient": "LEA@example.ch"}).json()["messages"]
    assert (message["recipient"], message["message_id"]) == ("lea@example.ch", "<m1@dossierbus>")
    assert (message["subject"], message["language"]) == ("Ihr Antrag ist geprüft", "de")
    assert message["text"].startswith("Grüezi Lea Muster")
    assert sink.http.get("/sandbox/messages", params={"recipient": "b@example.ch"}).json()["messages"] == []


async def test_repeated_message_id_is_counted_apart(sink: Sink) -> None:
    """Two deliveries under one Message-ID count as two messages and one id."""
    await sink.send()
    await sink.send()
    assert sink.count() == {"messages": 2, "distinct_message_ids": 1}


async def test_pages_list_and_show_mail_as_text(sink: Sink) -> None:
    """The pages list subject, recipient and Message-ID, link addresses, and never render markup of a mail."""
    await sink.send()
    listing = sink.http.get("/").text
    for expected in ("Ihr Antrag ist geprüft", "lea@example.ch", "&lt;m1@dossierbus&gt;", 'lang="de"'):
        assert expected in listing
    shown = sink.http.get("/messages/1").text
    assert 'href="http://127.0.0.1:9/dossiers/1"' in shown
    assert "&lt;b&gt;" in shown
    assert "multipart/alternative" in sink.http.get("/messages/1/raw").text
    assert sink.http.get("/messages/2").status_code == 404


async def test_temporary_refusal_keeps_nothing(sink: Sink) -> None:
    """With an error rate of one, DATA is answered with the SMTP code asked for and nothing is kept."""
    sink.faults(error_rate=1.0, status=451)
    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await sink.send()
    assert refused.value.code == 451
    assert sink.count()["messages"] == 0


async def test_matching_recipients_are_refused_for_good_or_for_now(sink: Sink) -> None:
    """Patterns pick recipients that get 550 or 450; others still get their mail."""
    sink.faults(reject_recipients="gone-*@example.ch", defer_recipients="busy-*@example.ch")
    for recipient, code in (("gone-1@example.ch", 550), ("busy-1@example.ch", 450)):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
            await sink.send(recipient)
        assert refused.value.recipients[0].code == code
    await sink.send()
    assert sink.count()["messages"] == 1


async def test_dropped_connection_after_data_is_ambiguous(sink: Sink) -> None:
    """The message is kept but the sender sees a broken connection, once; the repeat carries the same id."""
    sink.faults(drop_after_data=1)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await sink.send()
    await sink.send()
    assert sink.count() == {"messages": 2, "distinct_message_ids": 1}


async def test_hanging_server_makes_the_sender_time_out(sink: Sink) -> None:
    """A hang longer than the sender's patience is a timeout to the sender."""
    sink.faults(hang_seconds=4)
    with pytest.raises(aiosmtplib.SMTPTimeoutError):
        await sink.send()
