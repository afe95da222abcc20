"""Random tokens that stand for people. Never derives one from a name or number; knows no name."""

from typing import Final, Protocol

from cachetools import LRUCache

from shared.environment import Environment
from shared.identifiers import keyed_hash

REMEMBERED: Final = 10_000


class Aliases(Protocol):
    """Keeps, for each keyed hash, the first token that was proposed."""

    async def alias(self, known: str, proposed: str) -> str:
        """Return the token of a keyed hash."""
        ...


class People:
    """Tokens of applicants (from the sign-in's subject) and their pseudonyms per agency."""

    def __init__(self, aliases: Aliases, key: bytes, tenant: str, environment: Environment) -> None:
        self._aliases = aliases
        self._key = key
        self._tenant = tenant
        self._environment = environment
        self._known: LRUCache[str, str] = LRUCache(REMEMBERED)

    async def applicant(self, subject: str) -> str:
        """Return the token of a signed-in person. Raises `StorageUnavailable`."""
        return await self._token("applicant", subject)

    async def pseudonym(self, applicant: str, agency: str) -> str:
        """Return the pseudonym under which one agency knows a person. Raises `StorageUnavailable`."""
        return await self._token("agency", agency, applicant)

    async def _token(self, *parts: str) -> str:
        known = keyed_hash(self._key, self._tenant, *parts)
        token = self._known.get(known)
        if token is None:
            token = self._known[known] = await self._aliases.alias(known, self._environment.token())
        return token
