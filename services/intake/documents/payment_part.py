"""The payment part of a Swiss QR-bill: what the code says, and the drawing of receipt and payment part.

Owns the payload (checked by `qrbill`) and the layout of the Style Guide QR-bill: positions, sizes of type, the cross,
the corner marks of fields that the payer fills in. Never decides what is owed, and draws in the lowest 105 mm of the
page only. Addresses are structured: combined ones (type K) are no longer accepted since November 2025.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from qrbill import QRBill

from services.intake.documents.facts import Party, PaymentSlips, Slip
from services.intake.documents.sheet import PAGE_HEIGHT, PAGE_WIDTH, Sheet
from services.intake.documents.wording import Wording, amount, street_line, town_line
from shared.qr_reference import format_qr_reference

TOP = PAGE_HEIGHT - 105
_BLACK = (0, 0, 0)
_RECEIPT_X, _PART_X, _INFORMATION_X = 5.0, 67.0, 118.0
_RECEIPT_WIDTH, _INFORMATION_WIDTH = 52.0, 87.0
_CODE, _CROSS = 46.0, 7.0
_POINT = 25.4 / 72
# What the payment standard allows: ASCII, Latin-1, Latin Extended-A, four Romanian letters, the euro sign.
_ALLOWED = ((0x20, 0x7E), (0xA1, 0x17F), (0x218, 0x21B), (0x20AC, 0x20AC))
_PLAIN = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"})


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sizes of type in points: headings, values, and from line to line."""

    heading: float
    value: float
    leading: float

    @property
    def line(self) -> float:
        """From line to line in millimetres."""
        return self.leading * _POINT


@dataclass(frozen=True, slots=True)
class _Section:
    """A heading with its lines, or with an empty field (width, height) that the payer fills in."""

    heading: str
    lines: tuple[str, ...]
    field: tuple[float, float] | None = None


_LARGE, _SMALL = _Sizes(8, 10, 11), _Sizes(6, 8, 9)


def payload(facts: PaymentSlips, slip: Slip) -> str:
    """Return the text inside the Swiss QR Code (Implementation Guidelines QR-bill, data structure 0200).

    Raises ValueError when account, reference and amount do not go together.
    """
    bill = QRBill(
        account=facts.qr_iban,
        creditor=_address(facts.creditor),
        debtor=_address(facts.debtor) if facts.debtor else None,
        amount=None if slip.amount_rappen is None else amount(slip.amount_rappen, ""),
        currency="CHF",
        reference_number=slip.reference,
        additional_information=payable(slip.message),
    )
    return str(bill.qr_data())


def payable(text: str) -> str:
    """Write a text with the letters that payments allow: others lose their accent or become a dot."""
    return "".join(_payable_sign(sign) for sign in text.translate(_PLAIN))


def draw(sheet: Sheet, facts: PaymentSlips, slip: Slip, wording: Wording) -> None:
    """Draw receipt and payment part over the full width at the foot of the current page."""
    _separation(sheet, wording)
    _receipt(sheet, facts, slip, wording)
    _payment_part(sheet, facts, slip, wording)


def _receipt(sheet: Sheet, facts: PaymentSlips, slip: Slip, wording: Wording) -> None:
    _title(sheet, _RECEIPT_X, wording.text("bill_receipt"))
    # A receipt carries no message, and for want of room it may leave out the streets.
    whole = _sections(facts, slip, wording, (52, 20), message=False, streets=True)
    short = _sections(facts, slip, wording, (52, 20), message=False, streets=False)
    _column(sheet, (_RECEIPT_X, TOP + 12, _RECEIPT_WIDTH, 56.0), [(whole, _SMALL), (short, _SMALL)])
    _amount(sheet, slip, wording, (_RECEIPT_X, 12.0), _SMALL, (27.0, 68.0, 30.0, 10.0))
    sheet.type_size(6, bold=True, colour=_BLACK)
    with sheet.tagged("P"):
        sheet.put(_RECEIPT_X, TOP + 82, wording.text("bill_acceptance"), _RECEIPT_WIDTH, "R")


def _payment_part(sheet: Sheet, facts: PaymentSlips, slip: Slip, wording: Wording) -> None:
    _title(sheet, _PART_X, wording.text("bill_payment_part"))
    with sheet.tagged("Figure", alt=wording.text("bill_alt")):
        sheet.code(_PART_X, TOP + 17, _CODE, payload(facts, slip))
        _cross(sheet, _PART_X + (_CODE - _CROSS) / 2, TOP + 17 + (_CODE - _CROSS) / 2)
    _amount(sheet, slip, wording, (_PART_X, 15.0), _LARGE, (78.0, 72.0, 40.0, 15.0))
    sections = _sections(facts, slip, wording, (65, 25), message=True, streets=True)
    box = (_INFORMATION_X, TOP + 5, _INFORMATION_WIDTH, 85.0)
    _column(sheet, box, [(sections, _LARGE), (sections, _SMALL)])


def _sections(
    facts: PaymentSlips, slip: Slip, wording: Wording, field: tuple[float, float], *, message: bool, streets: bool
) -> list[_Section]:
    iban = " ".join(facts.qr_iban[start : start + 4] for start in range(0, len(facts.qr_iban), 4))
    reference = format_qr_reference(slip.reference)
    sections = [
        _Section(wording.text("bill_account"), (iban, *_party(facts.creditor, streets))),
        _Section(wording.text("bill_reference"), (reference,)),
    ]
    if message and slip.message:
        sections.append(_Section(wording.text("bill_message"), (payable(slip.message),)))
    if facts.debtor:
        return [*sections, _Section(wording.text("bill_debtor"), _party(facts.debtor, streets))]
    return [*sections, _Section(wording.text("bill_debtor_open"), (), field)]


def _column(
    sheet: Sheet, box: tuple[float, float, float, float], variants: Sequence[tuple[Sequence[_Section], _Sizes]]
) -> None:
    # box: left, top, width, height. The first variant that fits is drawn, the last one whatever happens.
    x, y, width, height = box
    for sections, sizes in variants:
        filled = [_broken(sheet, section, sizes, width) for section in sections]
        if sum(_height(section, sizes) for section in filled) - sizes.line <= height:
            break
    for section in filled:
        with sheet.tagged("P"):
            sheet.type_size(sizes.heading, bold=True, colour=_BLACK)
            below = sheet.block(x, y, [section.heading], sizes.leading)
            sheet.type_size(sizes.value, colour=_BLACK)
            sheet.block(x, below, section.lines, sizes.leading)
        if section.field:
            _corners(sheet, x, below + 0.8, *section.field)
        y += _height(section, sizes)


def _broken(sheet: Sheet, section: _Section, sizes: _Sizes, width: float) -> _Section:
    sheet.type_size(sizes.value, colour=_BLACK)
    lines = tuple(line for value in section.lines for line in sheet.lines(value, width))
    return _Section(section.heading, lines, section.field)


def _height(section: _Section, sizes: _Sizes) -> float:
    return (len(section.lines) + 2) * sizes.line + (section.field[1] if section.field else 0)


def _amount(
    sheet: Sheet,
    slip: Slip,
    wording: Wording,
    place: tuple[float, float],
    sizes: _Sizes,
    field: tuple[float, float, float, float],
) -> None:
    # place: left edge, width of the currency; field: left, top, width, height.
    (x, currency_width), (field_x, field_y, width, height) = place, field
    y = TOP + 68
    with sheet.tagged("P"):
        sheet.type_size(sizes.heading, bold=True, colour=_BLACK)
        sheet.put(x, y, wording.text("bill_currency"))
        sheet.put(x + currency_width, y, wording.text("bill_amount"))
        sheet.type_size(sizes.value, colour=_BLACK)
        y += sizes.line
        sheet.put(x, y, "CHF")
        if slip.amount_rappen is not None:
            sheet.put(x + currency_width, y, amount(slip.amount_rappen, " "))
    if slip.amount_rappen is None:
        _corners(sheet, field_x, TOP + field_y, width, height)


def _title(sheet: Sheet, x: float, text: str) -> None:
    sheet.type_size(11, bold=True, colour=_BLACK)
    with sheet.tagged("H2"):
        sheet.put(x, TOP + 5, text)


def _separation(sheet: Sheet, wording: Wording) -> None:
    sheet.type_size(7, colour=_BLACK)
    text = wording.text("bill_separate")
    with sheet.tagged("P"):
        sheet.put((PAGE_WIDTH - sheet.get_string_width(text)) / 2, TOP - 4, text)
    with sheet.decoration():
        sheet.set_draw_color(*_BLACK)
        sheet.set_line_width(0.75 * _POINT / 3)
        sheet.line(0, TOP, PAGE_WIDTH, TOP)
        sheet.line(62, TOP, 62, PAGE_HEIGHT)


def _corners(sheet: Sheet, x: float, y: float, width: float, height: float) -> None:
    with sheet.decoration():
        sheet.set_draw_color(*_BLACK)
        sheet.set_line_width(0.75 * _POINT)
        for corner_x, inward in ((x, 3), (x + width, -3)):
            for corner_y, down in ((y, 3), (y + height, -3)):
                sheet.polyline([(corner_x + inward, corner_y), (corner_x, corner_y), (corner_x, corner_y + down)])


def _cross(sheet: Sheet, x: float, y: float) -> None:
    # Proportions of the published symbol, whose edge is 19.8 units long.
    unit = _CROSS / 19.8
    for shade, left, top, width, height in (
        (255, 0, 0, 19.8, 19.8),
        (0, 0.7, 0.7, 18.4, 18.4),
        (255, 8.3, 4, 3.3, 11),
        (255, 4.4, 7.9, 11, 3.3),
    ):
        sheet.set_fill_color(shade, shade, shade)
        sheet.rect(x + left * unit, y + top * unit, width * unit, height * unit, style="F")


def _party(party: Party, streets: bool) -> tuple[str, ...]:
    lines = (party.name, street_line(party) if streets else "", town_line(party))
    return tuple(payable(line) for line in lines if line)


def _address(party: Party) -> dict[str, str]:
    return {
        "name": payable(party.name),
        "street": payable(party.street),
        "house_num": payable(party.house_number),
        "pcode": payable(party.postal_code),
        "city": payable(party.town),
        "country": party.country,
    }


def _payable_sign(sign: str) -> str:
    plain = unicodedata.normalize("NFD", sign)[0]
    for candidate in (sign, plain):
        if any(low <= ord(candidate) <= high for low, high in _ALLOWED):
            return candidate
    return " " if sign.isspace() else "."
