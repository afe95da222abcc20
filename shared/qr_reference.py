"""The QR reference: 27 digits that say which claim of which dossier a payment belongs to.

Owns the layout of the reference and its check digit. Never draws a bill and never decides an amount. Layout, 26 digits
and the check digit: tenant (4) year (2) kind (1) dossier number (12) instalment (3) zeros (4) check (1). The instalment
inside the reference makes the matching of bank files exact. A QR reference is valid only together with a QR-IBAN.
"""

from dataclasses import dataclass

from stdnum.ch import esr

DIGITS = 27
_PADDING = "0000"


@dataclass(frozen=True, slots=True)
class QrReference:
    """What a QR reference names: tenant 1-9999, year of the claim, kind 0-9, dossier number, instalment 0-999."""

    tenant_no: int
    year: int
    kind: int
    dossier_number: int
    instalment: int


def qr_reference(tenant_no: int, year: int, kind: int, dossier_number: int, instalment: int) -> str:
    """Return the 27 digits for one instalment (0: the claim as a whole) of a dossier's claim.

    `year` has four digits and lies in 2000-2099. Raises ValueError, naming the part and its limits, when a part does
    not fit its digits. Check digit: modulo 10 recursive, Swiss Implementation Guidelines QR-bill, annex B.
    """
    body = (
        _digits("tenant_no", tenant_no, 1, 9_999, 4)
        + _digits("year", year, 2000, 2099, 4)[2:]
        + _digits("kind", kind, 0, 9, 1)
        + _digits("dossier_number", dossier_number, 1, 999_999_999_999, 12)
        + _digits("instalment", instalment, 0, 999, 3)
        + _PADDING
    )
    return body + esr.calc_check_digit(body)


def parse_qr_reference(reference: str) -> QrReference:
    """Take a reference apart; blanks between the digits are allowed, as printed on a bill.

    Raises ValueError, never repeating the input, when it is not 27 digits, the check digit is wrong, or it is not of
    our layout: such a payment belongs to someone else's claim or to nobody's.
    """
    digits = reference.replace(" ", "")
    if len(digits) != DIGITS or not (digits.isascii() and digits.isdigit()) or not esr.is_valid(digits):
        raise ValueError("expected 27 digits with a valid check digit")
    if digits[22:26] != _PADDING:
        raise ValueError("expected four zeros before the check digit")
    return QrReference(
        tenant_no=int(digits[:4]),
        year=2000 + int(digits[4:6]),
        kind=int(digits[6]),
        dossier_number=int(digits[7:19]),
        instalment=int(digits[19:22]),
    )


def format_qr_reference(reference: str) -> str:
    """Group the digits for the eye: two, then five times five (style guide QR-bill, section 3.6.2)."""
    return " ".join([reference[:2], *(reference[start : start + 5] for start in range(2, DIGITS, 5))])


def _digits(name: str, value: int, low: int, high: int, width: int) -> str:
    if not low <= value <= high:
        raise ValueError(f"{name}: expected a whole number from {low} to {high}")
    return f"{value:0{width}d}"
