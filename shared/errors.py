"""The exceptions that every layer understands.

    DossierbusError
    ├── Transient               nothing is wrong with the input: wait, then try again
    │   ├── StorageUnavailable      MongoDB does not answer
    │   ├── ProviderUnavailable     an outside provider does not answer
    │   │   └── IssuerUnavailable       the OpenID issuer's keys cannot be had
    │   ├── BrokerUnavailable       Kafka does not answer
    │   └── RecountPending          a recount of the KPIs is asked for, but no worker has done it in time
    ├── Permanent               trying again gives the same result
    │   ├── PurposeNotAllowed       this service was not given the wrapping key of that purpose
    │   ├── KeyMissing              the owner has no data key for that purpose (erased, or never made)
    │   ├── SealBroken              a sealed value was altered or belongs to another owner, purpose or field
    │   └── NewerRelease            stored by a later release, in a way that this one cannot read
    ├── BrokerReplaced          the broker came back empty: the process must start anew (exit code 75)
    └── Problem                 an answer to an HTTP caller, see `shared.web.problems`

It never holds personal data: messages name ids, purposes and fields only.
"""

from __future__ import annotations


class DossierbusError(Exception):
    """Root of all our errors."""


class Transient(DossierbusError):  # noqa: N818 - read as an adjective in `except Transient`
    """Nothing is wrong with the input: wait and try again."""


class StorageUnavailable(Transient):
    """MongoDB cannot be reached or has no primary."""


class ProviderUnavailable(Transient):
    """An outside provider (PSP, register, mail server) cannot be reached or answers with a server error."""


class IssuerUnavailable(ProviderUnavailable):
    """The OpenID issuer's signing keys cannot be fetched and no cached key fits."""


class BrokerUnavailable(Transient):
    """Kafka cannot be reached."""


class RecountPending(Transient):
    """A recount of the KPIs is asked for, but not done yet; a worker does it as soon as it can."""


class Permanent(DossierbusError):  # noqa: N818 - read as an adjective in `except Permanent`
    """Trying again would give the same result."""


class PurposeNotAllowed(Permanent):
    """The service holds no wrapping key for the purpose."""


class KeyMissing(Permanent):
    """The owner has no data key for the purpose: it was erased or never made."""


class SealBroken(Permanent):
    """A sealed value cannot be authenticated."""


class NewerRelease(Permanent):
    """A later release stored what this one does not know; it waits for that release to come back."""


class BrokerReplaced(DossierbusError):  # noqa: N818 - a state of the world, named like the others
    """The broker came back empty; the process ends with exit code 75 and starts anew."""
