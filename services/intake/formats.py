"""Formats of form fields: what a text must look like to be an AHV number, a date, a phone number and so on.

Owns the checks behind the JSON Schema keyword `format`. Never repeats a value, and never asks a register whether it
exists.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType

from stdnum import iban
from stdnum.ch import esr, ssn, uid

_CANTONS = "AG|AI|AR|BE|BL|BS|FR|GE|GL|GR|JU|LU|NE|NW|OW|SG|SH|SO|SZ|TG|TI|UR|VD|VS|ZG|ZH|FL"
_EMAIL = re.compile(
    r"(?=.{3,254}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]"
)
_NO_NAME = frozenset({"Sc", "Sm", "So", "Zl", "Zp"})
LANGUAGES = ("de", "fr", "it", "en")


def is_date(text: str) -> bool:
    """A day that exists, as YYYY-MM-DD (RFC 3339 full-date)."""
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_name(text: str) -> bool:
    """A name that can be read aloud: at least one letter, and no sign that hides, breaks or turns text or is a picture.

    A lone accent (´ or `) stays allowed, because people type it for an apostrophe.
    """
    kinds = {unicodedata.category(sign) for sign in text}
    return any(kind[0] == "L" for kind in kinds) and not any(kind[0] == "C" or kind in _NO_NAME for kind in kinds)


def _matches(pattern: str, then: Callable[[str], bool] = lambda _: True) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None and then(text)


FORMATS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        # eCH-0044: 13 digits from 756, EAN-13 check digit; with or without the printed dots.
        "ahv": _matches(r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}|756[0-9]{10}", ssn.is_valid),
        "date": is_date,
        # A mailbox that can be written to: ASCII, no comments, no quotes, a domain with a dot; 64 signs before the at.
        "email": lambda text: _EMAIL.fullmatch(text) is not None and text.index("@") <= 64,
        "name": is_name,
        "phone": _matches(r"\+[1-9][0-9]{6,14}"),
        "zip-ch": _matches(r"[1-9][0-9]{3}"),
        "language": lambda text: text in LANGUAGES,
        # Switzerland and Liechtenstein, written together or in groups of four.
        "iban-ch": _matches(r"(CH|LI)[0-9]{2}( ?[0-9A-Za-z]{4}){4} ?[0-9A-Za-z]", iban.is_valid),
        "qrr": _matches(r"[0-9]{27}|[0-9]{2}( [0-9]{5}){5}", esr.is_valid),
        "uid": _matches(r"CHE-[0-9]{3}\.[0-9]{3}\.[0-9]{3}|CHE[0-9]{9}", uid.is_valid),
        "plate-ch": _matches(rf"({_CANTONS}) ?[1-9][0-9]{{0,5}}"),
    }
)
