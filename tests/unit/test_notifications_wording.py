"""The words of the mails and the mails themselves: complete in four languages, harmless whatever is put in."""

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path
from typing import get_args

import pytest
from fluent.syntax import ast, parse
from hypothesis import given, settings
from hypothesis import strategies as st

import services.notifications
from services.notifications.domain import Message
from services.notifications.mail import AddressInvalid, Sender, as_html, as_text, compose, mailbox, message_id
from services.notifications.wording import day, reference, salutation_name, text, write
from shared.contracts.status import LANGUAGES, STATUS_CODES, Language, NextAction, StatusCode
from shared.environment import timestamp
from shared.testing.environment import START

DOSSIER = "3f7k9qxm2v8p4r6t1w5y0z"
SENDER = Sender("counter@emmen.example", "emmen.example")
ACTIONS: tuple[NextAction, ...] = get_args(NextAction)
TEXTS = Path(services.notifications.__file__).parent / "texts"


def message(
    language: Language = "de",
    status: StatusCode = "payment_due",
    action: NextAction | None = "pay",
    expected_by: str | None = "2026-12-05T11:00:00.000Z",
) -> Message:
    """A queued message."""
    return Message(
        status=status,
        language=language,
        contact="sealed:v1:contact:AAAA",
        next_action=action,
        expected_by=expected_by,
        status_since=timestamp(START),
        send_by=timestamp(START),
        changed_at=timestamp(START),
    )


def mail(queued: Message, name: str = "Lea Muster", recipient: str = "lea.muster@example.ch") -> EmailMessage:
    """The mail for a message, after a trip over the wire."""
    letter = write(queued, DOSSIER, name, public_url="https://counter.emmen.example/", municipality="Emmen")
    raw = compose(letter, f"{DOSSIER}:3", recipient, SENDER, START).as_bytes()
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    return read


def body(read: EmailMessage, kind: str) -> str:
    """The plain or HTML part as text."""
    part = read.get_body((kind,))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("status", STATUS_CODES)
def test_every_status_has_its_mail_in_every_language(status: StatusCode, language: Language) -> None:
    """Subject and body exist, are filled in, name the reference and lead to the dossier in the portal."""
    for action in (None, *ACTIONS):
        read = mail(message(language, status, action))
        plain = body(read, "plain")
        assert reference(DOSSIER) in read["Subject"]
        assert "Lea Muster" in plain.splitlines()[0]
        assert reference(DOSSIER) in plain
        assert f"https://counter.emmen.example/?dossier={DOSSIER}" in plain
        assert "2026" in plain
        assert not re.search(r"[{}$\u2068\u2069]|None", plain)
        assert (action is None) == (plain.count("\n\n") == 5 + 1)


def test_all_languages_have_the_same_texts() -> None:
    """No text is missing, left over or written twice in a language, and none is the same as in another language."""
    found = {}
    for language in LANGUAGES:
        entries = parse((TEXTS / f"{language}.ftl").read_text("utf-8")).body
        assert not [entry for entry in entries if isinstance(entry, ast.Junk)]
        keys = [entry.id.name for entry in entries if isinstance(entry, ast.Message)]
        assert len(keys) == len(set(keys))
        found[language] = set(keys)
    assert found["de"] == found["fr"] == found["it"] == found["en"]
    wanted = {f"{status}-{part}" for status in STATUS_CODES for part in ("subject", "body")}
    assert wanted | {f"action-{action}" for action in ACTIONS} <= found["de"]
    bodies = [text(language, f"{status}-body") for status in STATUS_CODES for language in LANGUAGES]
    assert len(set(bodies)) == len(bodies)


def test_headers_say_what_kind_of_mail_it_is() -> None:
    """Automatic, in a language, dated by the status, with a stable id that tells nothing of the dossier."""
    read = mail(message("fr"))
    assert read["From"] == "counter@emmen.example"
    assert read["To"] == "lea.muster@example.ch"
    assert (read["Auto-Submitted"], read["Content-Language"]) == ("auto-generated", "fr")
    assert read["Date"].datetime == START
    assert read["Message-ID"] == message_id(f"{DOSSIER}:3", "emmen.example")
    assert DOSSIER not in read["Message-ID"]
    assert message_id("d1:3", "emmen.example") != message_id("d1:4", "emmen.example")
    assert read.get_content_type() == "multipart/alternative"


def test_second_copy_is_the_same_mail() -> None:
    """A mail composed again is the same to the last byte; another message's is not."""
    letter = write(message(), DOSSIER, "Lea", public_url="https://e.example", municipality="Emmen")
    first, again, other = (compose(letter, f"d1:{n}", "lea@example.ch", SENDER, START).as_bytes() for n in (3, 3, 4))
    assert first == again
    assert first != other


def test_reference_is_the_one_on_documents() -> None:
    """People read the same eight characters in mails and on documents."""
    assert reference(DOSSIER) == "3F7K-9QXM"


@pytest.mark.parametrize(
    ("language", "written"),
    [("de", "1. Dezember 2026"), ("fr", "1er décembre 2026"), ("it", "1° dicembre 2026"), ("en", "1 December 2026")],
)
def test_days_are_written_out_in_swiss_time(language: Language, written: str) -> None:
    """Half past eleven in the evening UTC is the next day in Switzerland; the first of a month has its own form."""
    assert day("2026-11-30T23:30:00.000Z", language) == written


def test_until_means_a_deadline_only_for_the_applicant() -> None:
    """A date is a deadline when the applicant has to act, else it says when to expect news."""
    assert "bis spätestens 5. Dezember 2026" in body(mail(message()), "plain")
    waiting = body(mail(message(status="in_review", action=None)), "plain")
    assert "voraussichtlich bis 5. Dezember 2026" in waiting
    assert "2026" not in body(mail(message(status="completed", action="download", expected_by=None)), "plain")


@pytest.mark.parametrize("name", ["Lea Muster", "J. P. Rüegg", "Chiara D’Angelo-De Bernardi", "Ana\tŠimić", "Dr. Noah"])
def test_names_are_greeted(name: str) -> None:
    """Names with accents, initials, hyphens and apostrophes stand in the salutation, on one line."""
    assert salutation_name(name) == " ".join(name.split())


@pytest.mark.parametrize(
    "name", ["", " ", "evil.example", "http://evil.example", "Lea <b>", "a@b", "Lea\x00", "Win 1000", "x" * 101, "-"]
)
def test_what_is_no_name_is_not_greeted(name: str) -> None:
    """Nobody can have the town mail a link or a message of theirs by calling themselves so."""
    assert salutation_name(name) == ""
    assert body(mail(message(), name=name), "plain").startswith("Guten Tag\n")


@settings(deadline=None, max_examples=50)
@given(name=st.text(max_size=60))
def test_no_name_adds_headers_lines_or_markup(name: str) -> None:
    """Whatever a person calls themselves, the mail has the same headers, the same lines and the same tags."""
    usual, read = mail(message()), mail(message(), name=name)
    assert read.keys() == usual.keys()
    assert len(body(read, "plain").splitlines()) == len(body(usual, "plain").splitlines())
    tags = [re.findall(r"<[^>]*>", body(part, "html")) for part in (usual, read)]
    assert tags[0] == tags[1]


def test_html_escapes_what_it_is_given() -> None:
    """Markup in a value is shown, not obeyed; the text part shows it as it is."""
    letter = write(message(), DOSSIER, "Lea", public_url='https://e.example/"><i>', municipality="<b>Emmen</b> & Co")
    assert "<b>" not in as_html(letter)
    assert "<i>" not in as_html(letter)
    assert "&lt;b&gt;Emmen&lt;/b&gt; &amp; Co" in as_html(letter)
    assert "<b>Emmen</b> & Co" in as_text(letter)


@pytest.mark.parametrize(
    ("address", "envelope"),
    [
        ("lea.muster+town@example.ch", "lea.muster+town@example.ch"),
        (" lea@example.ch ", "lea@example.ch"),
        ("lea@zürich.example", "lea@xn--zrich-kva.example"),
    ],
)
def test_addresses_go_into_the_envelope(address: str, envelope: str) -> None:
    """Ordinary addresses stay as they are; international domains get their ASCII form."""
    assert mailbox(address) == envelope


@pytest.mark.parametrize(
    "address",
    [
        "",
        "lea",
        "@example.ch",
        "lea@",
        "lea@localhost",
        "lea..m@example.ch",
        ".lea@example.ch",
        "lea@exa mple.ch",
        "lea@example..ch",
        "lea@-example.ch",
        "lea@example.ch\r\nBcc: all@example.ch",
        "lea\r\nBcc: all@example.ch",
        "lea@example.ch, all@example.ch",
        "<lea@example.ch>",
        '"lea m"@example.ch',
        "léa@example.ch",
        "a" * 65 + "@example.ch",
        "lea@" + "a" * 64 + ".ch",
        "lea@" + "abc." * 70 + "ch",
    ],
)
def test_what_is_no_address_is_refused_without_quoting_it(address: str) -> None:
    """No second recipient, no header and no nonsense gets into an envelope; the error does not name the address."""
    with pytest.raises(AddressInvalid) as caught:
        mail(message(), recipient=address)
    assert not address.strip() or address not in str(caught.value)


@settings(deadline=None)
@given(address=st.text(max_size=80))
def test_any_text_is_an_address_or_refused(address: str) -> None:
    """Checking an address gives one clean address or the one error, never another one."""
    try:
        clean = mailbox(address)
    except AddressInvalid:
        return
    assert clean.isascii()
    assert re.fullmatch(r"[^\s@,;<>]+@[^\s@,;<>]+", clean)
