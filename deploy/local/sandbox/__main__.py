"""Start one stand-in: `python -m deploy.local.sandbox <psp|register|oidc|mail|collector>`."""

import sys
from importlib import import_module

import uvicorn

# The module of each is imported only when it is started: the mail sink need not load the payment library.
SETTINGS = {
    "psp": "PspSettings",
    "register": "RegisterSettings",
    "oidc": "OidcSettings",
    "mail": "MailSettings",
    "collector": "CollectorSettings",
}


def main(arguments: list[str]) -> int:
    """Serve the named stand-in until SIGTERM; exit code 2 for an unknown name."""
    if len(arguments) != 1 or arguments[0] not in SETTINGS:
        sys.stderr.write(f"usage: python -m deploy.local.sandbox <{'|'.join(SETTINGS)}>\n")
        return 2
    module = import_module(f"deploy.local.sandbox.{arguments[0]}")
    settings = getattr(module, SETTINGS[arguments[0]])()
    uvicorn.run(
        module.create_app(settings),
        host=settings.http_host,
        port=settings.http_port,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
