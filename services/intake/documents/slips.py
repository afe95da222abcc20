"""Payment slips: one page with a Swiss QR-bill for each.

Owns the upper part of the page and the order of the slips. Never decides an amount or a reference.
"""

from services.intake.documents import payment_part
from services.intake.documents.facts import PaymentSlips, Slip
from services.intake.documents.letter import LEFT, WIDTH, head
from services.intake.documents.sheet import SOFT, Sheet
from services.intake.documents.wording import Wording, address_lines, amount
from shared.qr_reference import format_qr_reference


def payment_slips(facts: PaymentSlips, wording: Wording) -> bytes:
    """Draw the slips, one a page, and return the bytes of the PDF."""
    sheet = Sheet(wording.text("slips_title"), wording.language, facts.creditor.name, facts.issued_at)
    for number, slip in enumerate(facts.slips, start=1):
        sheet.add_page()
        _upper_part(sheet, facts, slip, number, wording)
        payment_part.draw(sheet, facts, slip, wording)
    return sheet.finished()


def _upper_part(sheet: Sheet, facts: PaymentSlips, slip: Slip, number: int, wording: Wording) -> None:
    head(sheet, facts.creditor.name, address_lines(facts.creditor), ())
    if facts.debtor:
        sheet.type_size(10.5)
        with sheet.tagged("P"):
            sheet.block(LEFT, 50, (facts.debtor.name, *address_lines(facts.debtor)), 14)
    sheet.type_size(10, colour=SOFT)
    count = wording.text("slip_count", slip=number, slips=len(facts.slips))
    with sheet.tagged("P"):
        sheet.put(LEFT, 80, f"{wording.text('dossier')} {facts.dossier} · {count}")
    sheet.type_size(20, bold=True)
    with sheet.tagged("H1"):
        sheet.put(LEFT, 90, wording.text("slips_title"))
    sheet.type_size(10.5)
    with sheet.tagged("P"):
        lines = sheet.lines(wording.text("slip_open" if slip.amount_rappen is None else "slip_fixed"), WIDTH)
        y = sheet.block(LEFT, 103, lines, 14.7)
    _details(sheet, slip, wording, y + 6)


def _details(sheet: Sheet, slip: Slip, wording: Wording, y: float) -> None:
    owed = wording.text("slip_open_amount") if slip.amount_rappen is None else f"CHF {amount(slip.amount_rappen)}"
    reference = format_qr_reference(slip.reference)
    for label, value in ((wording.text("bill_amount"), owed), (wording.text("bill_reference"), reference)):
        sheet.rule(LEFT, y, WIDTH)
        with sheet.tagged("P"):
            sheet.type_size(9.5, colour=SOFT)
            sheet.put(LEFT, y + 2.6, label)
            sheet.type_size(11)
            sheet.put(LEFT + 58, y + 2.2, value)
        y += 8.4
    sheet.rule(LEFT, y, WIDTH)
