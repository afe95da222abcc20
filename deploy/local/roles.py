"""The processes of a local stack: the roles of the five services and the sandboxes. Data only; starts nothing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """One role of a service: `python -m services.<service> <kind>`."""

    service: str
    kind: str
    purposes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name used for logs, ports and commands, as in `intake-api`."""
        return f"{self.service}-{self.kind}"

    @property
    def module(self) -> tuple[str, ...]:
        """The arguments after `python -m`."""
        return (f"services.{self.service}", self.kind)


# The vault purposes a service may open (docs: personal data). A service is given no other wrapping key.
PURPOSES: dict[str, tuple[str, ...]] = {
    "intake": ("person", "form", "contact", "evidence", "document"),
    "identity": ("person", "evidence"),
    "payments": (),
    "notifications": ("contact",),
    "analytics": (),
}

_KINDS: dict[str, tuple[str, ...]] = {
    "intake": ("api", "worker"),
    "identity": ("api", "worker", "reuse"),
    "payments": ("api", "worker"),
    "notifications": ("api", "worker"),
    "analytics": ("api", "worker"),
}

SERVICES: tuple[str, ...] = tuple(_KINDS)
DATABASES: tuple[str, ...] = (*SERVICES, "vault")
ROLES: dict[str, Role] = {
    role.name: role
    for service, kinds in _KINDS.items()
    for role in (Role(service, kind, PURPOSES[service]) for kind in kinds)
}
SANDBOXES: tuple[str, ...] = ("psp", "register", "oidc", "mail", "collector")
