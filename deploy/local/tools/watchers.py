"""The monitoring programs that the tests of dashboards and alerts run."""

from deploy.local.tools.debian import ensure


def ensure_prometheus() -> None:
    """Make sure of Prometheus, promtool and Alertmanager on PATH: install Debian's as root, else print one sentence."""
    purpose = "the tests of dashboards and alerts"
    ensure("prometheus", ("prometheus",), purpose, daemon=True)
    ensure("prometheus-alertmanager", ("prometheus-alertmanager",), purpose, daemon=True)
