"""The letter: the calm page around a certificate, with head, title, facts in rows, authenticity box and page numbers.

Owns layout and page breaks. Never knows which facts there are.
"""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from services.intake.documents.facts import Issuer, Verification
from services.intake.documents.sheet import ACCENT, PAGE_HEIGHT, PAGE_WIDTH, SOFT, Role, Sheet
from services.intake.documents.wording import Wording, address_lines

LEFT, RIGHT = 25.0, 20.0
WIDTH = PAGE_WIDTH - LEFT - RIGHT
LABELS = 58.0
_BOTTOM = PAGE_HEIGHT - 26
_BOX = 44.0
_CODE = 30.0
_ASIDE = 62.0
_ZURICH = ZoneInfo("Europe/Zurich")


class Letter:
    """A letter under construction; `y` is the top of the next thing to be written."""

    def __init__(self, title: str, issuer: Issuer, issued_at: datetime, wording: Wording) -> None:
        self.wording = wording
        self.sheet = Sheet(title, wording.language, issuer.name, issued_at)
        self._title, self._issuer = title, issuer
        self._issued_on = issued_at.astimezone(_ZURICH).date()
        self.y = 0.0
        self._open_page()

    def open(self, dossier: str) -> None:
        """Write place and date, the dossier's reference and the title."""
        place = self.wording.text(
            "place_and_date", place=self._issuer.municipality, date=self.wording.day(self._issued_on)
        )
        self.paragraph(place, size=10)
        self.paragraph(f"{self.wording.text('dossier')} {dossier}", size=10, colour=SOFT, gap=14)
        self.paragraph(self._title, size=20, bold=True, role="H1", gap=8)

    def paragraph(
        self,
        text: str,
        *,
        size: float = 10.5,
        bold: bool = False,
        role: Role = "P",
        colour: tuple[int, int, int] | None = None,
        gap: float = 2.0,
    ) -> None:
        """Write a text over the full width and leave `gap` millimetres below it."""
        self._choose(size, bold, colour)
        lines = self.sheet.lines(text, WIDTH)
        leading = size * 1.4
        self.need(len(lines) * leading * 25.4 / 72)
        self._choose(size, bold, colour)
        with self.sheet.tagged(role):
            self.y = self.sheet.block(LEFT, self.y, lines, leading) + gap

    def facts(self, rows: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Write rows of a label and its value, whose lines stand below each other."""
        for label, values in rows:
            self._fact(label, [line for value in values for line in self._fitted(value)])
        self.sheet.rule(LEFT, self.y, WIDTH)
        self.y += 7

    def box(self, verification: Verification) -> None:
        """Write the code and the words by which a reader checks that the document is genuine."""
        self.need(_BOX)
        top = _BOTTOM - _BOX + 6
        self.sheet.rule(LEFT, top - 5, WIDTH, ACCENT, 0.4)
        with self.sheet.tagged("Figure", alt=self.wording.text("verify_alt")):
            self.sheet.code(LEFT, top, _CODE, verification.link)
        self.y = top
        self._beside(self.wording.text("verify_title"), 10.5, True)
        self._beside(self.wording.text("verify_text"), 9, False)
        self._beside(verification.url, 9, False)
        self.y += 1
        self._beside(self.wording.text("document_number", number=verification.document_number), 9, True)
        self._beside(self.wording.text("electronic"), 9, False)

    def need(self, height: float) -> None:
        """Go to a new page when fewer than `height` millimetres are left on this one."""
        if self.y + height > _BOTTOM:
            self._open_page()

    def finished(self, document_number: str) -> bytes:
        """Number the pages and return the bytes of the file."""
        pages = self.sheet.pages_count
        for page in range(1, pages + 1):
            self.sheet.resume(page)
            with self.sheet.decoration():
                self.sheet.type_size(8, colour=SOFT)
                self.sheet.put(LEFT, PAGE_HEIGHT - 15, f"{self._title} · {document_number}")
                number = self.wording.text("page", page=page, pages=pages)
                self.sheet.put(LEFT, PAGE_HEIGHT - 15, number, WIDTH, "R")
        return self.sheet.finished()

    def _open_page(self) -> None:
        first = self.sheet.pages_count == 0
        self.sheet.add_page()
        if first:
            head(self.sheet, self._issuer.name, (self._issuer.office,), _sender(self._issuer))
        self.y = 52.0 if first else 25.0

    def _choose(self, size: float, bold: bool, colour: tuple[int, int, int] | None) -> None:
        self.sheet.type_size(size, bold) if colour is None else self.sheet.type_size(size, bold, colour)

    def _fitted(self, value: str) -> list[str]:
        self.sheet.type_size(11)
        return self.sheet.lines(value, WIDTH - LABELS)

    def _fact(self, label: str, lines: Sequence[str]) -> None:
        self.need(5 + 5.4 * len(lines))
        self.sheet.rule(LEFT, self.y, WIDTH)
        self.y += 2.2
        with self.sheet.tagged("P"):
            self.sheet.type_size(9.5, colour=SOFT)
            self.sheet.put(LEFT, self.y + 0.4, label)
            self.sheet.type_size(11)
            self.y = self.sheet.block(LEFT + LABELS, self.y, lines, 15) + 1.2

    def _beside(self, text: str, size: float, bold: bool) -> None:
        self.sheet.type_size(size, bold)
        with self.sheet.tagged("P"):
            lines = self.sheet.lines(text, WIDTH - _CODE - 8)
            self.y = self.sheet.block(LEFT + _CODE + 8, self.y, lines, size * 1.35) + 0.6


def head(sheet: Sheet, name: str, below: Sequence[str], aside: Sequence[str]) -> None:
    """Draw the head of a first page: who writes on the left, how to reach them on the right."""
    room = WIDTH - _ASIDE if aside else WIDTH
    with sheet.tagged("P"):
        for size in (15, 13, 11, 9, 7):
            sheet.type_size(size, bold=True, colour=ACCENT)
            if sheet.get_string_width(name) <= room:
                break
        sheet.put(LEFT, 18, name)
        sheet.type_size(10)
        sheet.block(LEFT, 25.2, below, 14)
    if aside:
        sheet.type_size(8.5, colour=SOFT)
        with sheet.tagged("P"):
            y = 18.6
            for line in aside:
                sheet.put(LEFT, y, line, WIDTH, "R")
                y += 4.1
    sheet.rule(LEFT, 40, WIDTH, ACCENT, 0.4)


def _sender(issuer: Issuer) -> tuple[str, ...]:
    return (*address_lines(issuer.address), *issuer.contact)
