"""Certificates: the confirmation of residence and the extract from the debt enforcement register.

Owns which facts are printed, and in which order. Never prints more than the content that was asked for.
"""

from services.intake.documents.facts import (
    DebtEntry,
    DebtRegisterExtract,
    HouseholdMember,
    Person,
    ResidenceCertificate,
)
from services.intake.documents.letter import LEFT, WIDTH, Letter
from services.intake.documents.sheet import SOFT, Align
from services.intake.documents.wording import Wording, address_lines, amount

_ROW = 5.6
# Of the table of entries: left edge from the margin, width, alignment.
_COLUMNS: tuple[tuple[str, float, float, Align], ...] = (
    ("entry_opened_on", 0, 31, "L"),
    ("entry_number", 32, 25, "L"),
    ("entry_creditor", 58, 43, "L"),
    ("entry_amount", 102, 25, "R"),
    ("entry_status", 131, 34, "L"),
)


def residence_certificate(facts: ResidenceCertificate, wording: Wording) -> bytes:
    """Draw a confirmation of residence and return the bytes of the PDF."""
    letter = Letter(wording.text("residence_title"), facts.issuer, facts.issued_at, wording)
    letter.open(facts.dossier)
    letter.paragraph(wording.text("residence_text", municipality=facts.issuer.municipality), gap=6)
    rows = [*_person(facts.person, wording), (wording.text("address"), address_lines(facts.address))]
    if facts.content != "simple":
        rows.append((wording.text("since"), (wording.day(facts.since),)))
    if facts.content == "with_civil_status":
        rows.append((wording.text("civil_status"), (wording.text(f"civil_status.{facts.civil_status}"),)))
    if facts.content == "with_family" and facts.household:
        members = tuple(_member(member, wording) for member in facts.household)
        rows.append((wording.text("household"), members))
    letter.facts(rows)
    letter.box(facts.verification)
    return letter.finished(facts.verification.document_number)


def debt_register_extract(facts: DebtRegisterExtract, wording: Wording) -> bytes:
    """Draw an extract from the debt enforcement register and return the bytes of the PDF."""
    letter = Letter(wording.text("debt_title"), facts.issuer, facts.issued_at, wording)
    letter.open(facts.dossier)
    letter.paragraph(wording.text("debt_text"), gap=6)
    period = wording.text("period_range", start=wording.day(facts.period_from), end=wording.day(facts.period_to))
    letter.facts(
        [
            *_person(facts.person, wording),
            (wording.text("address"), address_lines(facts.address)),
            (wording.text("period"), (period,)),
            (wording.text("as_of"), (wording.day(facts.as_of),)),
        ]
    )
    if facts.entries:
        _entries(letter, facts.entries)
    else:
        letter.paragraph(wording.text("no_entries"), size=13, bold=True, role="H2", gap=4)
    letter.paragraph(wording.text("debt_scope"), size=9, colour=SOFT)
    letter.box(facts.verification)
    return letter.finished(facts.verification.document_number)


def _person(person: Person, wording: Wording) -> list[tuple[str, tuple[str, ...]]]:
    rows: list[tuple[str, tuple[str, ...]]] = [
        (wording.text("family_name"), (person.family_name,)),
        (wording.text("first_name"), (person.first_name,)),
        (wording.text("birth_date"), (wording.day(person.birth_date),)),
    ]
    return [*rows, (wording.text("origin"), (person.origin,))] if person.origin else rows


def _member(member: HouseholdMember, wording: Wording) -> str:
    relation = wording.text(f"relation.{member.relation}")
    return f"{member.first_name} {member.family_name}, {wording.day(member.birth_date)}, {relation}"


def _entries(letter: Letter, entries: tuple[DebtEntry, ...]) -> None:
    letter.paragraph(letter.wording.text("entries_title", count=len(entries)), size=12, bold=True, role="H2", gap=3)
    _header(letter)
    for entry in entries:
        _entry(letter, entry)
    letter.sheet.rule(LEFT, letter.y, WIDTH)
    letter.y += 1.5
    with letter.sheet.tagged("P"):
        letter.sheet.type_size(9, bold=True)
        letter.sheet.put(LEFT, letter.y, letter.wording.text("entries_total"))
        total = amount(sum(entry.amount_rappen for entry in entries))
        letter.sheet.put(LEFT + 82, letter.y, total, 45, "R")
    letter.y += 10


def _header(letter: Letter) -> None:
    with letter.sheet.tagged("P"):
        letter.sheet.type_size(8.5, bold=True, colour=SOFT)
        for key, left, width, align in _COLUMNS:
            letter.sheet.put(LEFT + left, letter.y, letter.wording.text(key), width, align)
    letter.y += _ROW


def _entry(letter: Letter, entry: DebtEntry) -> None:
    cells = (
        f"{entry.opened_on:%d.%m.%Y}",
        entry.number,
        entry.creditor,
        amount(entry.amount_rappen),
        letter.wording.text(f"debt_status.{entry.status}"),
    )
    letter.sheet.type_size(9)
    broken = [letter.sheet.lines(cell, column[2]) for cell, column in zip(cells, _COLUMNS, strict=True)]
    height = 1.5 + 4.2 * max(len(lines) for lines in broken)
    page = letter.sheet.page
    letter.need(height + _ROW)
    if letter.sheet.page != page:
        _header(letter)
    letter.sheet.rule(LEFT, letter.y, WIDTH)
    letter.sheet.type_size(9)
    with letter.sheet.tagged("P"):
        for lines, (_, left, width, align) in zip(broken, _COLUMNS, strict=True):
            for number, line in enumerate(lines):
                letter.sheet.put(LEFT + left, letter.y + 1.5 + 4.2 * number, line, width, align)
    letter.y += height
