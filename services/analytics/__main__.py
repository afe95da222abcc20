"""Start a role of analytics: `python -m services.analytics <api|worker>`."""

from services.analytics.reader import api
from services.analytics.settings import Settings
from services.analytics.worker import worker
from shared.runtime import run

if __name__ == "__main__":
    run("analytics", Settings, {"api": api, "worker": worker})
