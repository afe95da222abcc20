"""`python -m services.notifications api|worker`: tells applicants of each new status, once and not too late."""

from functools import partial

from services.notifications.api import routes
from services.notifications.domain import MESSAGE, SEND_MAIL, USEFUL
from services.notifications.handlers import on_dossier_status_changed
from services.notifications.parity import FOLLOWERS
from services.notifications.settings import NotificationsSettings
from services.notifications.smtp import mailer_of
from services.notifications.work import letterhead_of, mail_sender
from shared.contracts.dossier import DossierStatusChanged
from shared.contracts.topics import INTAKE_EVENTS
from shared.runtime import Bus, run
from shared.web.app import create_app


async def play(bus: Bus[NotificationsSettings], role: str) -> int:
    """Be one role; each opens the messages, so that any of them can publish them again."""
    settings, messages = bus.settings, await bus.journal(MESSAGE, "messages")
    app = create_app(f"Notifications {role}", "notifications", settings=settings, checks={"database": bus.ready})
    if role == "worker":
        queue = on_dossier_status_changed(messages, USEFUL * settings.deadline_scale)
        bus.consume("notifications", [INTAKE_EVENTS], {DossierStatusChanged: queue})
        bus.compare({"messages": messages}, FOLLOWERS)
        bus.perform(messages, {SEND_MAIL: mail_sender(bus.vault, mailer_of(settings), letterhead_of(settings))})
    else:
        app.include_router(routes(messages, settings.hash_key))
        bus.operate(app, "notifications")
    return await bus.serve(app)


if __name__ == "__main__":
    run("notifications", NotificationsSettings, {role: partial(play, role=role) for role in ("api", "worker")})
