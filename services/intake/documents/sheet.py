"""The sheet: an A4 page in PDF/A-2u with embedded fonts, tags for screen readers, and codes drawn as vectors.

Owns everything about the file format: fonts, colour profile, dates, metadata, tagging. Never knows what a document
says. All lengths are millimetres from the top left corner, all sizes of type are points. The fonts are Liberation Sans
(SIL Open Font License 1.1, `fonts/OFL.txt`), one of the families that the Style Guide QR-bill allows; `srgb.icc` is the
sRGB profile that Little CMS generates, with a fixed date.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast
from xml.sax.saxutils import escape

import segno
from fpdf import FPDF, ViewerPreferences
from fpdf.enums import DocumentCompliance, OutputIntentSubType
from fpdf.output import PDFICCProfile

PAGE_WIDTH, PAGE_HEIGHT = 210.0, 297.0
INK, SOFT, RULE, ACCENT = (26, 32, 38), (88, 98, 108), (205, 212, 218), (24, 78, 104)
_HERE = Path(__file__).parent
_FAMILY = "Liberation Sans"
_PRODUCER = "Dossierbus"
_POINT = 25.4 / 72

Role = Literal["H1", "H2", "P", "Figure"]
Align = Literal["L", "R"]


class Sheet(FPDF):
    """A document under construction; `title` and `language` are part of its accessibility."""

    def __init__(self, title: str, language: str, author: str, issued_at: datetime) -> None:
        super().__init__(format="A4", unit="mm", enforce_compliance=DocumentCompliance.PDFA_2U)
        self.set_auto_page_break(auto=False)
        self.set_margin(0)
        self.c_margin = 0
        self.alias_nb_pages("")
        for style, face in (("", "Regular"), ("B", "Bold")):
            self.add_font(_FAMILY, style, _HERE / "fonts" / f"LiberationSans-{face}.ttf")
        self.set_title(title)
        self.set_lang(f"{language}-CH")
        self.set_author(author)
        self.set_producer(_PRODUCER)
        # The library would stamp the running time: the same facts must give the same bytes.
        self.set_creation_date(issued_at.astimezone(UTC))
        self.set_xmp_metadata(_metadata(title, author, issued_at.astimezone(UTC)))
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)
        profile = PDFICCProfile(_colour_profile(), 3, "DeviceRGB")
        self.add_output_intent(OutputIntentSubType.PDFA, "sRGB", dest_output_profile=profile, info="sRGB")

    @contextmanager
    def tagged(self, role: Role, alt: str | None = None) -> Iterator[None]:
        """Mark what is drawn inside as one element that a screen reader reads, in the order of drawing."""
        number = self.struct_builder.next_mcid_for_page(self.page)
        self._add_marked_content(struct_type=f"/{role}", mcid=number, alt_text=alt)
        self._out(f"/{role} <</MCID {number}>> BDC")
        yield
        self._out("EMC")

    @contextmanager
    def decoration(self) -> Iterator[None]:
        """Mark what is drawn inside as decoration, which a screen reader skips."""
        self._out("/Artifact BMC")
        yield
        self._out("EMC")

    def resume(self, page: int) -> None:
        """Go back to an earlier page."""
        self.page = page
        # The library writes a choice of type only when it changes, and knows nothing of the page's own last choice.
        self.set_font(_FAMILY, "", 1)

    def type_size(self, size: float, bold: bool = False, colour: tuple[int, int, int] = INK) -> None:
        """Choose size (points), weight and colour of what is written next."""
        self.set_font(_FAMILY, "B" if bold else "", size)
        self.set_text_color(*colour)

    def put(self, x: float, y: float, text: str, width: float = 0, align: Align = "L") -> None:
        """Write one line whose top is at `y`."""
        self.set_xy(x, y)
        self.cell(width or self.get_string_width(text) + 1, self.font_size, text, align=align)

    def lines(self, text: str, width: float) -> list[str]:
        """Break a text into the lines that fit into `width` in the chosen type."""
        broken = self.multi_cell(width, 1, text, dry_run=True, output="LINES", align="L")
        return cast("list[str]", broken)

    def block(self, x: float, y: float, lines: Sequence[str], leading: float) -> float:
        """Write lines below each other, `leading` points apart, and return the y below the last."""
        for line in lines:
            self.put(x, y, line)
            y += leading * _POINT
        return y

    def rule(self, x: float, y: float, width: float, colour: tuple[int, int, int] = RULE, weight: float = 0.2) -> None:
        """Draw a horizontal line as decoration."""
        with self.decoration():
            self.set_draw_color(*colour)
            self.set_line_width(weight)
            self.line(x, y, x + width, y)

    def code(self, x: float, y: float, size: float, content: str) -> None:
        """Draw a QR code (level M, UTF-8 without a character-set marker) into a square of `size`, without margin."""
        matrix = segno.make_qr(content, error="m", encoding="utf-8", boost_error=False, eci=False).matrix
        module = size / len(matrix)
        self.set_fill_color(0, 0, 0)
        for row, cells in enumerate(matrix):
            for start, length in _runs(cells):
                self.rect(x + start * module, y + row * module, length * module, module, style="F")

    def finished(self) -> bytes:
        """Return the bytes of the file."""
        return bytes(self.output())


def _runs(cells: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(cells):
        end = start
        while end < len(cells) and cells[end] == cells[start]:
            end += 1
        if cells[start]:
            yield start, end - start
        start = end


@lru_cache(maxsize=1)
def _colour_profile() -> bytes:
    return (_HERE / "srgb.icc").read_bytes()


def _metadata(title: str, author: str, moment: datetime) -> str:
    stamp = moment.isoformat(timespec="seconds")
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/"
 xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
<rdf:Description rdf:about="" xmp:CreateDate="{stamp}" xmp:ModifyDate="{stamp}" xmp:MetadataDate="{stamp}"
 pdf:Producer="{_PRODUCER}" pdfaid:part="2" pdfaid:conformance="U">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{escape(title)}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{escape(author)}</rdf:li></rdf:Seq></dc:creator>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>"""
