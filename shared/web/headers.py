"""Idempotency-Key, ETag and If-Match. Versions are the sequence of an aggregate's last event."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Request

from shared.language import Language, texts
from shared.web.handlers import language_of
from shared.web.problems import PreconditionFailed

_ETAG = re.compile(r'"(\d{1,15})"')

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=8,
        max_length=128,
        pattern=r"^[!-~]+$",
        description="8 to 128 visible ASCII characters; the same key with the same body gives the same answer.",
    ),
]
"""Parameter of every write: `key: IdempotencyKey`. Missing or unusable: 400 `idempotency-key-required`."""


def etag(sequence: int) -> str:
    """The ETag of a version: its number in quotes (RFC 9110 8.8.3)."""
    return f'"{sequence}"'


async def _if_match(
    value: Annotated[
        str | None,
        Header(alias="If-Match", max_length=200, description="The ETag the change is based on; stale means 412."),
    ] = None,
) -> int | None:
    if value is None or value.strip() == "*":
        return None
    found = _ETAG.fullmatch(value.strip())
    if found is None:
        raise _stale(None)
    return int(found[1])


ExpectedVersion = Annotated[int | None, Depends(_if_match)]
"""Parameter of every change: `expected: ExpectedVersion`. None without If-Match; 412 for a mark we never issued."""


def check_version(expected: int | None, present: int) -> None:
    """PreconditionFailed (412, with the present ETag) when a caller's version is not the present one."""
    if expected is not None and expected != present:
        raise _stale(present)


async def _language(request: Request) -> Language:
    return language_of(request.scope)


CallerLanguage = Annotated[Language, Depends(_language)]
"""Parameter of a route that answers with texts: `language: CallerLanguage`, by Accept-Language, German by default."""


def _stale(present: int | None) -> PreconditionFailed:
    return PreconditionFailed(
        texts(
            "Erwartet wird in If-Match die jetzige Version (ETag). Bitte neu laden und wiederholen.",
            "If-Match doit indiquer la version actuelle (ETag). Veuillez recharger et recommencer.",
            "If-Match deve indicare la versione attuale (ETag). Ricaricare e riprovare.",
            "If-Match is expected to name the present version (ETag). Please reload and try again.",
        ),
        headers={} if present is None else {"ETag": etag(present)},
    )
