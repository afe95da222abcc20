"""An OTLP/HTTP trace collector that can be asked afterwards what it received."""

from deploy.local.sandbox.collector.api import CollectorSettings, create_app

__all__ = ["CollectorSettings", "create_app"]
