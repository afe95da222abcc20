"""Names for things: Crockford base32, keyed hashes and derived ids.

It never draws randomness: see `shared.environment`.
"""

from __future__ import annotations

import base64
import hmac

_FROM_RFC_4648 = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghjkmnpqrstvwxyz")
_BITS = 5
_ID_BYTES = 16


def crockford(data: bytes) -> str:
    """Lowercase Crockford base32 of `data`, zero-padded to a constant length (16 bytes give 26 characters)."""
    length = -(-len(data) * 8 // _BITS)
    size = -(-length * _BITS // 8)
    # RFC 4648 fills up on the right, Crockford on the left: shifted, the same groups of five bits come out.
    shifted = int.from_bytes(data, "big") << size * 8 - length * _BITS
    return base64.b32encode(shifted.to_bytes(size, "big"))[:length].translate(_FROM_RFC_4648).decode()


def unambiguous(*parts: str) -> bytes:
    """The parts as bytes, each with its length before it, so that ("ab", "c") and ("a", "bc") differ."""
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def keyed_hash(key: bytes, *parts: str) -> str:
    """HMAC-SHA256 of the parts in 64 hexadecimal digits; the key is 32 bytes."""
    return hmac.digest(key, unambiguous(*parts), "sha256").hex()


def derived_id(key: bytes, *parts: str) -> str:
    """An id of 26 characters that is the same for the same parts and says nothing about them."""
    return crockford(hmac.digest(key, unambiguous(*parts), "sha256")[:_ID_BYTES])
