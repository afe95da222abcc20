"""A residents' and debt register over HTTP JSON, filled with invented people of Emmen."""

from deploy.local.sandbox.register.api import RegisterSettings, create_app

__all__ = ["RegisterSettings", "create_app"]
