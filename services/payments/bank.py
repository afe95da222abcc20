"""Reading a bank's credit notification: ISO 20022 camt.054.001.08 (Swiss Payment Standards). Pure; matches nothing.

QR-bill payments are booked in batches, so the single payments are read (`TxDtls`), never the entry's sum. Names and
accounts of payers are not read at all.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from shared.errors import Permanent

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"
_NS: Final = {"c": NAMESPACE}
_LONGEST_REFERENCE: Final = 35  # ISO 20022 Max35Text
_LONGEST_ACCOUNT: Final = 34  # ISO 13616 and ISO 20022 Max34Text
_AMOUNT: Final = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,2})0{0,3})?")


class UnreadableFile(Permanent):
    """Not a camt.054.001.08 that we can use. `pointer` says where, `code` what is wrong; no value is repeated."""

    def __init__(self, pointer: str, code: str) -> None:
        super().__init__(f"{pointer}: {code}")
        self.pointer = pointer
        self.code = code


@dataclass(frozen=True, slots=True)
class Credit:
    """One booked payment to our account. `amount` in the minor unit; `servicer_reference` is the bank's id of it."""

    account: str
    servicer_reference: str
    reference: str | None
    amount: int
    currency: str


def read_credits(file: bytes) -> tuple[Credit, ...]:
    """Return the booked single payments of a file in order; debits, reversals and pending entries are left out.

    Raises `UnreadableFile`, before anything of it is used.
    """
    root = _parsed(file)
    notifications = root.findall("c:BkToCstmrDbtCdtNtfctn/c:Ntfctn", _NS)
    if root.tag != f"{{{NAMESPACE}}}Document" or not notifications:
        raise UnreadableFile("/Document", "camt_054_expected")
    return tuple(credit for notification in notifications for credit in _credits(notification))


def _parsed(file: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(file, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise UnreadableFile("", "xml_expected") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableFile("", "doctype_not_allowed")
    return root


def _credits(notification: etree._Element) -> Iterator[Credit]:
    account = _text(notification, "c:Acct/c:Id/c:IBAN") or _text(notification, "c:Acct/c:Id/c:Othr/c:Id")
    if not 0 < len(account) <= _LONGEST_ACCOUNT:
        raise UnreadableFile(_pointer(notification) + "/Acct/Id", "account_expected")
    for entry in notification.findall("c:Ntry", _NS):
        booked = _text(entry, "c:Sts/c:Cd") == "BOOK"
        if booked and _text(entry, "c:RvslInd") not in ("true", "1"):
            yield from _payments(entry, account)


def _payments(entry: etree._Element, account: str) -> Iterator[Credit]:
    payments = entry.findall("c:NtryDtls/c:TxDtls", _NS)
    direction = _text(entry, "c:CdtDbtInd")
    for payment in payments:
        if (_text(payment, "c:CdtDbtInd") or direction) == "CRDT":
            yield _credit(payment, entry if len(payments) == 1 else None, account)
    if not payments and direction == "CRDT":
        yield _credit(entry, entry, account)


def _credit(payment: etree._Element, alone: etree._Element | None, account: str) -> Credit:
    """Read one payment; what it lacks its entry may say if it is alone there."""
    servicer = _text(payment, "c:Refs/c:AcctSvcrRef")
    if not servicer and alone is not None:
        servicer = _text(alone, "c:AcctSvcrRef")
    if not 0 < len(servicer) <= _LONGEST_REFERENCE:
        raise UnreadableFile(_pointer(payment) + "/Refs/AcctSvcrRef", "servicer_reference_expected")
    amount = _find(payment, "c:Amt")
    if amount is None and alone is not None:
        amount = _find(alone, "c:Amt")
    if amount is None:
        raise UnreadableFile(_pointer(payment) + "/Amt", "amount_expected")
    return Credit(account, servicer, _qr_reference(payment), _minor_units(amount), amount.get("Ccy", "")[:3])


def _qr_reference(payment: etree._Element) -> str | None:
    for structured in payment.findall("c:RmtInf/c:Strd/c:CdtrRefInf", _NS):
        if _text(structured, "c:Tp/c:CdOrPrtry/c:Prtry") == "QRR":
            return _text(structured, "c:Ref").replace(" ", "") or None
    return None


def _minor_units(amount: etree._Element) -> int:
    found = _AMOUNT.fullmatch((amount.text or "").strip())
    if found is None:
        raise UnreadableFile(_pointer(amount), "amount_expected")
    return int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))


def _find(parent: etree._Element, path: str) -> etree._Element | None:
    return parent.find(path, _NS)


def _text(parent: etree._Element, path: str) -> str:
    found = _find(parent, path)
    return (found.text or "").strip() if found is not None else ""


def _pointer(element: etree._Element) -> str:
    """Return where an element is: names with their place among their like, without the namespace."""
    steps = [element, *element.iterancestors()]
    return "".join(f"/{_name(step)}{_place(step)}" for step in reversed(steps))


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname


def _place(element: etree._Element) -> str:
    before = sum(1 for _ in element.itersiblings(element.tag, preceding=True))
    after = next(element.itersiblings(element.tag), None)
    return f"/{before}" if before or after is not None else ""
