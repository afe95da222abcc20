"""Random tokens that stand for people. Never derives one from a name or number; knows no name."""

from collections import OrderedDict
from typing import Final, Protocol

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
        self._known: OrderedDict[str, str] = OrderedDict()

    async def applicant(self, subject: str) -> str:
        """Return the token of a signed-in person. Raises `StorageUnavailable`."""
        return await self._token("applicant", subject)

    async def pseudonym(self, applicant: str, agency: str) -> str:
        """Return the pseudonym under which one agency knows a person. Raises `StorageUnavailable`."""
        return await self._token("agency", agency, applicant)

    async def _token(self, *parts: str) -> str:
        known = keyed_hash(self._key, self._tenant, *parts)
        if known not in self._known:
            self._known[known] = await self._aliases.alias(known, self._environment.token())
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[known]
