"""A mail sink: takes every message over SMTP, keeps it, shows it, and delivers nothing to anybody."""

from deploy.local.sandbox.mail.api import create_app
from deploy.local.sandbox.mail.sink import MailSettings

__all__ = ["MailSettings", "create_app"]
