"""Names for things: Crockford base32, keyed hashes and derived ids.

It never draws randomness: see `shared.environment`.
"""

from __future__ import annotations

import hashlib
import hmac

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_BITS = 5
_ID_BYTES = 16


def crockford(data: bytes) -> str:
    """Lowercase Crockford base32 of `data`, zero-padded to a constant length (16 bytes give 26 characters)."""
    length = -(-len(data) * 8 // _BITS)
    number = int.from_bytes(data, "big")
    return "".join(_ALPHABET[number >> _BITS * place & 31] for place in reversed(range(length)))


def unambiguous(*parts: str) -> bytes:
    """The parts as bytes, each with its length before it, so that ("ab", "c") and ("a", "bc") differ."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def keyed_hash(key: bytes, *parts: str) -> str:
    """HMAC-SHA256 of the parts in 64 hexadecimal digits; the key is 32 bytes."""
    return hmac.new(key, unambiguous(*parts), hashlib.sha256).hexdigest()


def derived_id(key: bytes, *parts: str) -> str:
    """An id of 26 characters that is the same for the same parts and says nothing about them."""
    return crockford(hmac.new(key, unambiguous(*parts), hashlib.sha256).digest()[:_ID_BYTES])
