"""Lists by cursor: opaque, signed marks that are good for one list of one caller. It never trusts a mark it reads."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Annotated, Final, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from shared.identifiers import unambiguous
from shared.language import texts
from shared.web.problems import CursorInvalid

Item = TypeVar("Item")
Position = tuple[str | int, ...]

_MAC_BYTES: Final = 16

Limit = Annotated[int, Query(ge=1, le=100, description="How many entries at most.")]
"""Parameter of a list: `limit: Limit = 20`."""

Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before.")]
"""Parameter of a list: `cursor: Cursor = None`."""


class Page(BaseModel, Generic[Item]):
    """One page; `next` is the cursor of the following one, null at the end."""

    model_config = ConfigDict(frozen=True)

    items: list[Item]
    next: str | None = Field(None, description="Give it as `cursor` to read on.")


def write_cursor(key: bytes, scope: str, position: Sequence[str | int]) -> str:
    """A mark after `position` (sort values of the last entry), good only for `scope`: list, caller and filters."""
    payload = json.dumps(list(position), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(key, scope, payload) + payload).decode().rstrip("=")


def read_cursor(key: bytes, scope: str, cursor: str | None) -> Position | None:
    """The position in a mark, None without one; CursorInvalid if we did not issue it for this scope."""
    if cursor is None:
        return None
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _invalid() from None
    mac, payload = data[:_MAC_BYTES], data[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(key, scope, payload)):
        raise _invalid()
    return tuple(json.loads(payload))


def _mac(key: bytes, scope: str, payload: bytes) -> bytes:
    signed = unambiguous("cursor", scope) + payload
    return hmac.new(key, signed, hashlib.sha256).digest()[:_MAC_BYTES]


def _invalid() -> CursorInvalid:
    return CursorInvalid(
        texts(
            "Erwartet wird das Feld next der vorigen Seite derselben Liste, unverändert.",
            "Le champ next de la page précédente de la même liste est attendu, inchangé.",
            "È atteso il campo next della pagina precedente dello stesso elenco, invariato.",
            "Expected the field next of the page before of the same list, unchanged.",
        )
    )
