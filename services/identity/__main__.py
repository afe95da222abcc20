"""`python -m services.identity api|worker|reuse`: identity checks, and evidence that need not be asked for twice."""

from functools import partial

from services.identity.api import routes
from services.identity.domain import CHECK, CHECK_IDENTITY, EVIDENCE, FETCH_EVIDENCE, PATIENCE
from services.identity.handlers import on_evidence_requested, on_identity_check_requested, on_step_cancelled
from services.identity.parity import FOLLOWERS
from services.identity.register import open_register
from services.identity.settings import IdentitySettings
from services.identity.work import evidence_fetcher, identity_checker
from shared.contracts.dossier import EvidenceRequested, IdentityCheckRequested, StepCancelled
from shared.contracts.topics import INTAKE_EVENTS
from shared.runtime import Bus, run
from shared.web.app import create_app


async def play(bus: Bus[IdentitySettings], role: str) -> int:
    """Be one role; each opens both journals, so that any of them can publish both again."""
    checks, evidence = await bus.journal(CHECK, "checks"), await bus.journal(EVIDENCE, "evidence")
    app = create_app(f"Identity {role}", "identity", settings=bus.settings, checks={"database": bus.ready})
    patience = PATIENCE * bus.settings.deadline_scale
    async with open_register(bus.settings.register_url, bus.settings.register_token) as register:
        if role == "worker":
            opened, cancelled = on_identity_check_requested(checks, patience), on_step_cancelled(checks, "identity")
            bus.consume("identity", [INTAKE_EVENTS], {IdentityCheckRequested: opened, StepCancelled: cancelled})
            bus.perform(checks, {CHECK_IDENTITY: identity_checker(bus.vault, register)})
            bus.compare({"checks": checks, "evidence": evidence}, FOLLOWERS)
        elif role == "reuse":
            opened, cancelled = on_evidence_requested(evidence, patience), on_step_cancelled(evidence, "evidence")
            bus.consume("identity-reuse", [INTAKE_EVENTS], {EvidenceRequested: opened, StepCancelled: cancelled})
            bus.perform(evidence, {FETCH_EVIDENCE: evidence_fetcher(bus.vault, register)})
        else:
            app.include_router(routes(checks, evidence))
            bus.operate(app, "identity", "identity-reuse")
        return await bus.serve(app)


if __name__ == "__main__":
    run("identity", IdentitySettings, {role: partial(play, role=role) for role in ("api", "worker", "reuse")})
