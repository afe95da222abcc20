"""Field encryption per owner and purpose (AES-256-GCM), so that deleting an owner's keys erases the person.

Owner: a dossier or a person. Each owner has one random data key per purpose, stored wrapped under the purpose's
wrapping key; a service holds only the wrapping keys of purposes it may open. Nothing here is ever logged.
Formats: `sealed:v1:<purpose>:<base64url(nonce + ciphertext)>`; documents carry raw bytes after the same prefix.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import Final, NamedTuple, Protocol, TypeAlias

from cachetools import TLRUCache
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.environment import Environment
from shared.errors import KeyMissing, PurposeNotAllowed, SealBroken
from shared.identifiers import unambiguous

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

CACHE_SIZE: Final = 4096
CACHE_TTL: Final = timedelta(seconds=30)
_PURPOSE = re.compile(r"[a-z][a-z-]{0,30}")
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32


class ErasedType(Enum):
    """The type of `Erased`."""

    ERASED = "Erased"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "Erased"

    __str__ = __repr__


Erased: Final = ErasedType.ERASED
"""What a sealed value opens to once its keys are gone: falsy, a single value, compare with `is`."""


class KeyStore(Protocol):
    """Where wrapped data keys are kept, apart from all other data."""

    async def insert(self, owner_id: str, wrapped: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Store the keys unless the owner has some; returns the stored ones, nothing for an erased owner."""
        ...

    async def get(self, owner_id: str) -> Mapping[str, bytes] | None:
        """The owner's wrapped keys, or None."""
        ...

    async def delete(self, owner_id: str) -> None:
        """Remove the keys for good; the owner stays known as erased."""
        ...


class Rewrapping(KeyStore, Protocol):
    """A key store whose keys can be wrapped anew."""

    async def replace(self, owner_id: str, purpose: str, before: bytes, after: bytes) -> bool:
        """Store a key wrapped anew, unless it was changed or deleted meanwhile; say if it was stored."""
        ...

    async def owners(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return owners in ascending order, for paging through all."""
        ...


class MemoryKeyStore:
    """A `KeyStore` in memory, for tests and simulations."""

    def __init__(self) -> None:
        self._keys: dict[str, Mapping[str, bytes]] = {}

    async def insert(self, owner_id: str, wrapped: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The first insert wins; an erased owner stays erased."""
        return dict(self._keys.setdefault(owner_id, dict(wrapped)))

    async def get(self, owner_id: str) -> Mapping[str, bytes] | None:
        """The owner's wrapped keys, or None."""
        return self._keys.get(owner_id) or None

    async def delete(self, owner_id: str) -> None:
        """Forget the keys and remember that they were erased."""
        self._keys[owner_id] = {}

    async def replace(self, owner_id: str, purpose: str, before: bytes, after: bytes) -> bool:
        """Put a key in the place of the one it was made from."""
        keys = self._keys.get(owner_id, {})
        if keys.get(purpose) != before:
            return False
        self._keys[owner_id] = {**keys, purpose: after}
        return True

    async def owners(self, after: str = "", limit: int = 1000) -> list[str]:
        """Return owners in ascending order."""
        return sorted(owner for owner in self._keys if owner > after)[:limit]


class Keyring:
    """One owner's opened data keys. Hold it for one piece of work only: it outlives an erasure."""

    def __init__(self, owner_id: str, keys: Mapping[str, AESGCM], allowed: Iterable[str], environment: Environment):
        self.owner_id = owner_id
        self._keys = keys
        self._allowed = frozenset(allowed)
        self._environment = environment

    def __repr__(self) -> str:
        return f"Keyring(owner_id={self.owner_id!r})"

    def seal(self, purpose: str, field: str, value: Json) -> str:
        """Encrypt a JSON value, bound to owner, purpose and field; PurposeNotAllowed, KeyMissing, ValueError (NaN)."""
        plain = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        sealed = self._encrypt(purpose, plain, unambiguous(self.owner_id, purpose, field))
        return _prefix(purpose) + base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def unseal(self, field: str, sealed: str) -> Json | ErasedType:
        """The value of a sealed field, or `Erased`; PurposeNotAllowed, SealBroken."""
        purpose, text = _split(sealed)
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise SealBroken(f"{field}: not a sealed value") from None
        plain = self._decrypt(purpose, field, data, unambiguous(self.owner_id, purpose, field))
        if isinstance(plain, ErasedType):
            return plain
        value: Json = json.loads(plain)
        return value

    def seal_bytes(self, purpose: str, field: str, data: bytes) -> bytes:
        """Encrypt a document, bound to owner, purpose and field; PurposeNotAllowed, KeyMissing."""
        sealed = self._encrypt(purpose, data, unambiguous(self.owner_id, purpose, field, "bytes"))
        return _prefix(purpose).encode() + sealed

    def unseal_bytes(self, field: str, sealed: bytes) -> bytes | ErasedType:
        """A sealed document, or `Erased`; PurposeNotAllowed, SealBroken."""
        head, _, rest = sealed[len("sealed:v1:") :].partition(b":")
        purpose, _ = _split((sealed[: len("sealed:v1:")] + head + b":").decode("ascii", "replace"))
        return self._decrypt(purpose, field, rest, unambiguous(self.owner_id, purpose, field, "bytes"))

    def _encrypt(self, purpose: str, plain: bytes, bound_to: bytes) -> bytes:
        self._check(purpose)
        key = self._keys.get(purpose)
        if key is None:
            raise KeyMissing(f"{self.owner_id} has no key for purpose {purpose}")
        nonce = self._environment.entropy(_NONCE_BYTES)
        return nonce + key.encrypt(nonce, plain, bound_to)

    def _decrypt(self, purpose: str, field: str, data: bytes, bound_to: bytes) -> bytes | ErasedType:
        self._check(purpose)
        key = self._keys.get(purpose)
        if key is None:
            return Erased
        return _opened(key, data, bound_to, f"{field} of {self.owner_id}")

    def _check(self, purpose: str) -> None:
        if purpose not in self._allowed:
            raise PurposeNotAllowed(f"this service may not open purpose {purpose!r}")


class _Cached(NamedTuple):
    """An opened keyring and until when it may be used, in seconds since the epoch."""

    until: float
    keyring: Keyring


class Vault:
    """Makes, opens and erases the data keys of owners. `wrapping` maps each purpose it may open to 32 bytes."""

    def __init__(
        self,
        keys: KeyStore,
        wrapping: Mapping[str, bytes],
        environment: Environment,
        other: Mapping[str, bytes] | None = None,
    ) -> None:
        self._store = keys
        self._wrapping = {purpose: AESGCM(key) for purpose, key in wrapping.items()}
        self._other = {purpose: AESGCM(key) for purpose, key in (other or {}).items()}
        self._environment = environment
        # Five opened keys are 13 kB: what may no longer be used is not kept either.
        self._cache: TLRUCache[str, _Cached] = TLRUCache(
            CACHE_SIZE, ttu=lambda _owner, cached, _now: cached.until, timer=lambda: environment.now().timestamp()
        )
        self._erasures = 0

    async def create(self, owner_id: str, purposes: Iterable[str]) -> Keyring:
        """Make and store one data key per purpose, then open them; an owner who has keys keeps them."""
        wrapped, fresh = dict[str, bytes](), dict[str, AESGCM]()
        for purpose in purposes:
            if purpose not in self._wrapping or _PURPOSE.fullmatch(purpose) is None:
                raise PurposeNotAllowed(f"this service may not open purpose {purpose!r}")
            nonce = self._environment.entropy(_NONCE_BYTES)
            data_key = self._environment.entropy(_KEY_BYTES)
            wrapped[purpose] = nonce + self._wrapping[purpose].encrypt(nonce, data_key, unambiguous(owner_id, purpose))
            fresh[purpose] = AESGCM(data_key)
        stored = await self._store.insert(owner_id, wrapped)
        if stored == wrapped:
            return Keyring(owner_id, fresh, self._wrapping, self._environment)
        return self._keyring(owner_id, stored)

    async def open(self, owner_id: str) -> Keyring:
        """The owner's keys, at most 30 seconds old; of an erased or unknown owner everything opens to `Erased`."""
        # The age counts from before the reading: an erasure meanwhile must not be seen later than promised.
        now, erasures = self._environment.now(), self._erasures
        cached = self._cache.get(owner_id)
        if cached is not None:
            return cached.keyring
        stored = await self._store.get(owner_id)
        keyring = self._keyring(owner_id, stored or {})
        if stored and erasures == self._erasures:
            self._cache[owner_id] = _Cached((now + CACHE_TTL).timestamp(), keyring)
        else:
            self._cache.pop(owner_id, None)
        return keyring

    async def rewrap(self, owner_id: str, store: Rewrapping) -> int:
        """Wrap the owner's keys under the present wrapping keys; return how many were not. SealBroken."""
        changed = 0
        for purpose, wrapped in (await store.get(owner_id) or {}).items():
            if purpose not in self._other or purpose not in self._wrapping:
                continue
            bound_to, nonce = unambiguous(owner_id, purpose), self._environment.entropy(_NONCE_BYTES)
            data_key, present = self._unwrapped(purpose, wrapped, bound_to)
            if not present:
                anew = nonce + self._wrapping[purpose].encrypt(nonce, data_key, bound_to)
                changed += await store.replace(owner_id, purpose, wrapped, anew)
        return changed

    async def erase(self, owner_id: str) -> None:
        """Delete the owner's keys. Other processes may still open values for up to 30 seconds."""
        await self._store.delete(owner_id)
        self._erasures += 1
        self._cache.pop(owner_id, None)

    def _keyring(self, owner_id: str, wrapped: Mapping[str, bytes]) -> Keyring:
        keys = {
            purpose: AESGCM(self._unwrapped(purpose, wrapped[purpose], unambiguous(owner_id, purpose))[0])
            for purpose in self._wrapping
            if purpose in wrapped
        }
        return Keyring(owner_id, keys, self._wrapping, self._environment)

    def _unwrapped(self, purpose: str, wrapped: bytes, bound_to: bytes) -> tuple[bytes, bool]:
        """Return a data key and whether it is wrapped under the present wrapping key."""
        try:
            return _opened(self._wrapping[purpose], wrapped, bound_to, f"key {purpose}"), True
        except SealBroken:
            if purpose not in self._other:
                raise
            return _opened(self._other[purpose], wrapped, bound_to, f"key {purpose}"), False


def _opened(key: AESGCM, data: bytes, bound_to: bytes, what: str) -> bytes:
    try:
        return key.decrypt(bytes(data[:_NONCE_BYTES]), bytes(data[_NONCE_BYTES:]), bound_to)
    except (InvalidTag, ValueError):
        raise SealBroken(f"{what} cannot be authenticated") from None


def _prefix(purpose: str) -> str:
    return f"sealed:v1:{purpose}:"


def _split(sealed: str) -> tuple[str, str]:
    mark, _, rest = sealed.partition(":v1:")
    purpose, _, text = rest.partition(":")
    if mark != "sealed" or _PURPOSE.fullmatch(purpose) is None:
        raise SealBroken("not a sealed value")
    return purpose, text
