"""The facts that a document states: one frozen model for each kind of document.

Owns their shapes and limits. Never fills in, looks up or guesses a fact. Texts are put into Unicode form C and hold
only what the embedded font can print: a certificate with a missing letter in a name would be wrong unnoticed.
"""

import unicodedata
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from stdnum.ch import esr

_PRINTABLE = (
    (0x20, 0x7E),
    (0xA0, 0xAC),
    (0xAE, 0x24F),
    (0x1E00, 0x1E9B),
    (0x1E9E, 0x1E9E),
    (0x1EA0, 0x1EF9),
    (0x2010, 0x2010),
    (0x2012, 0x2022),
    (0x2026, 0x2026),
    (0x20AC, 0x20AC),
)
_QR_BANKS = range(30_000, 32_000)


def _printable(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    if not all(any(low <= ord(sign) <= high for low, high in _PRINTABLE) for sign in composed):
        raise ValueError("expected Latin letters, digits and punctuation on one line")
    return composed


def _qr_reference(digits: str) -> str:
    if not esr.is_valid(digits):
        raise ValueError("expected a QR reference of 27 digits with a valid check digit")
    return digits


def _qr_iban(iban: str) -> str:
    # The bank number tells a QR-IBAN from an ordinary one, which must not be paired with a QR reference.
    if int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 != 1 or int(iban[4:9]) not in _QR_BANKS:
        raise ValueError("expected a QR-IBAN (bank number 30000 to 31999) with valid check digits")
    return iban


_PRINTED = AfterValidator(_printable)
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), _PRINTED]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=70), _PRINTED]
Town = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=35), _PRINTED]
Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16), _PRINTED]
OptionalName = Annotated[str, StringConstraints(strip_whitespace=True, max_length=70), _PRINTED]
OptionalShort = Annotated[str, StringConstraints(strip_whitespace=True, max_length=16), _PRINTED]
Message = Annotated[str, StringConstraints(strip_whitespace=True, max_length=140), _PRINTED]
Link = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]{1,300}$")]
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Rappen = Annotated[int, Field(ge=1, le=99_999_999_999, strict=True)]
QrReference = Annotated[str, StringConstraints(pattern=r"^[0-9]{27}$"), AfterValidator(_qr_reference)]
QrIban = Annotated[str, StringConstraints(pattern=r"^(CH|LI)[0-9]{7}[0-9A-Z]{12}$"), AfterValidator(_qr_iban)]

Content = Literal["simple", "with_move_in_date", "with_civil_status", "with_family"]
CivilStatus = Literal[
    "single", "married", "widowed", "divorced", "unmarried", "registered_partnership", "dissolved_partnership"
]
Relation = Literal["spouse", "partner", "child", "parent", "other"]
DebtStatus = Literal[
    "initiated", "objection", "seizure", "bankruptcy_warning", "realised", "paid", "ended", "loss_certificate"
]


class Facts(BaseModel):
    """The base of all facts: frozen, nothing unknown, and errors that never repeat what was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Address(Facts):
    """A postal address in its parts (structured, as payments demand since November 2025)."""

    street: OptionalName = ""
    house_number: OptionalShort = ""
    postal_code: Short
    town: Town
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "CH"


class Party(Address):
    """Someone who pays or is paid: name and address."""

    name: Name


class Issuer(Facts):
    """The office that states the facts; `name` heads the page, `municipality` stands inside sentences."""

    name: Name
    municipality: Town
    office: Name
    address: Address
    contact: tuple[Text, ...] = Field(default=(), max_length=3)


class Verification(Facts):
    """Where a reader checks the document: the code holds `<url>/<document_number>` and, if given, `#<secret>`."""

    url: Link
    document_number: Token
    secret: Token | None = None

    @property
    def link(self) -> str:
        """The text inside the verification code."""
        return f"{self.url.rstrip('/')}/{self.document_number}" + (f"#{self.secret}" if self.secret else "")


class Person(Facts):
    """A natural person as the register knows them; `origin` is the place of citizenship or the nationality."""

    first_name: Text
    family_name: Text
    birth_date: date
    origin: Text | None = None


class HouseholdMember(Person):
    """Someone who lives at the same address, seen from the person of the certificate."""

    relation: Relation


class Document(Facts):
    """What every issued document has: the moment of issue (dates the file too) and the dossier's reference."""

    issued_at: AwareDatetime
    dossier: Token


class ResidenceCertificate(Document):
    """A confirmation of residence. `content` says what is printed beyond name, birth date and address.

    `simple` nothing, `with_move_in_date` since when, `with_civil_status` since when and the civil status,
    `with_family` since when and the household.
    """

    issuer: Issuer
    verification: Verification
    person: Person
    address: Address
    since: date
    content: Content = "simple"
    civil_status: CivilStatus | None = None
    household: tuple[HouseholdMember, ...] = Field(default=(), max_length=12)

    @model_validator(mode="after")
    def _has_what_it_promises(self) -> Self:
        if self.content == "with_civil_status" and self.civil_status is None:
            raise ValueError("civil_status: expected with the content with_civil_status")
        return self


class DebtEntry(Facts):
    """One debt enforcement procedure: date it was opened, its number, creditor, claim and where it stands."""

    opened_on: date
    number: Short
    creditor: Text
    amount_rappen: Rappen
    status: DebtStatus


class DebtRegisterExtract(Document):
    """An extract from the debt enforcement register: at most five years (SchKG art. 8a), `as_of` its day."""

    issuer: Issuer
    verification: Verification
    person: Person
    address: Address
    period_from: date
    period_to: date
    as_of: date
    entries: tuple[DebtEntry, ...] = Field(default=(), max_length=500)

    @model_validator(mode="after")
    def _period_is_five_years_at_most(self) -> Self:
        earliest = (self.period_to.year - 5, self.period_to.month, self.period_to.day)
        start = (self.period_from.year, self.period_from.month, self.period_from.day)
        if self.period_from > self.period_to or start < earliest:
            raise ValueError("period_from: expected a day in the five years before period_to")
        if any(not self.period_from <= entry.opened_on <= self.period_to for entry in self.entries):
            raise ValueError("entries: expected only procedures opened within the period")
        return self


class Slip(Facts):
    """One payment slip; without an amount the payer fills it in (open slip)."""

    amount_rappen: Rappen | None = None
    reference: QrReference
    message: Message = ""


class PaymentSlips(Document):
    """Swiss QR-bills, one page each, in Swiss francs."""

    creditor: Party
    qr_iban: QrIban
    debtor: Party | None = None
    slips: tuple[Slip, ...] = Field(min_length=1, max_length=24)
