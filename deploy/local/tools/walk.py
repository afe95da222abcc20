"""README's walk along one dossier: the places are named here, their line numbers are looked up. `./dev contracts`."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BEGIN: Final = "<!-- generated: walk -->"
END: Final = "<!-- end: walk -->"


@dataclass(frozen=True)
class Place:
    """One stop: what happens, and the function or class (`Class.method`) where it does."""

    what: str
    path: str
    symbol: str


WALK: Final = (
    Place(
        "The portal hands a request in: checked, sealed, decided, answered",
        "services/intake/api/dossiers.py",
        "_submitting",
    ),
    Place("Every field is checked, what is personal is sealed", "services/intake/submission.py", "accept"),
    Place("The decision is pure: the first event, and the consents", "services/intake/domain.py", "submit"),
    Place("What the event changes in the dossier", "services/intake/state.py", "_submitted"),
    Place("What follows by itself: the engine asks each open step", "services/intake/process.py", "follow"),
    Place("…and the first step asks for an identity check", "services/intake/process.py", "_identity"),
    Place("The event, as everybody knows it", "shared/contracts/dossier.py", "IdentityCheckRequested"),
    Place("Decided events become journal entries, chained by their macs", "shared/journal/fold.py", "decided"),
    Place(
        "Load, decide, one guarded write; a repeat gets the first answer", "shared/journal/journal.py", "Journal.record"
    ),
    Place("Writes that wait share one journaled bulk write", "shared/store/mongo.py", "GroupCommit.submit"),
    Place("The relay publishes the contiguous run, in order", "shared/relay.py", "Relay._publish"),
    Place("Identity listens: one line per event and its handler", "services/identity/__main__.py", "play"),
    Place("Around every handler: decode, order, wait, set aside", "shared/consumer.py", "Dispatcher._handle"),
    Place(
        "The handler opens a check named after the request",
        "services/identity/handlers.py",
        "on_identity_check_requested",
    ),
    Place("The work loop asks the register, outside of any handler", "services/identity/work.py", "_check"),
    Place(
        "Intake records the outcome; the engine goes on with evidence and fee", "services/intake/handlers.py", "_told"
    ),
    Place("Payments opens a payment and asks the provider for a page", "services/payments/work.py", "create_checkout"),
    Place("Notifications mails each new status, once", "services/notifications/work.py", "_send"),
    Place(
        "Analytics takes every event into the dossier's record; KPIs are sums of records",
        "services/analytics/domain.py",
        "apply",
    ),
)


def lines_of(source: str, symbol: str) -> tuple[int, int]:
    """Return the first and last line of a function, class or `Class.method`. Raises LookupError if it is gone."""
    node: ast.AST = ast.parse(source)
    for name in symbol.split("."):
        found = [child for child in ast.walk(node) if getattr(child, "name", None) == name]
        if not found:
            raise LookupError(f"README's walk names {symbol}, which is gone")
        node = found[0]
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        raise LookupError(f"{symbol} is no function or class")  # noqa: TRY004  (the walk's list is wrong)
    return node.lineno, node.end_lineno or node.lineno


def walk(checkout: Path) -> str:
    """Return the walk as a numbered list of links with line ranges."""
    entries = []
    for number, place in enumerate(WALK, 1):
        first, last = lines_of((checkout / place.path).read_text(encoding="utf-8"), place.symbol)
        link = f"[`{place.path}`]({place.path}#L{first}-L{last})"
        entries.append(f"{number}. {place.what}: {link} `{place.symbol}`")
    return "\n".join(entries)


def renewed(readme: str, checkout: Path) -> str:
    """Return README with its walk written anew."""
    head, _, rest = readme.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{walk(checkout)}\n{END}{tail}"
