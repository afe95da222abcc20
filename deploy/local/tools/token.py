"""`./dev token`: an access token from the development OpenID provider of a running stack."""

import argparse
import http.client
import json
from collections.abc import Sequence

from deploy.local.errors import LocalError
from deploy.local.ports import DEFAULT_BASE, port_of

ROLES = ("citizen", "caseworker", "operator", "agency", "service")
_ACR = "urn:qa.agov.ch:names:tc:ac:classes:"


def main(arguments: Sequence[str]) -> int:
    """Print the token alone, so that it can be used in a shell: `curl -H "Authorization: Bearer $(./dev token …)"`."""
    parser = argparse.ArgumentParser(prog="./dev token")
    parser.add_argument("--role", choices=ROLES, required=True)
    parser.add_argument("--sub", required=True, help="the subject, as in lea.muster")
    parser.add_argument("--acr", choices=("100", "200", "300", "400"), default="400", help="AGOV assurance class")
    parser.add_argument("--agency", help="the agency the caller belongs to")
    parser.add_argument("--base-port", type=int, default=DEFAULT_BASE)
    options = parser.parse_args(arguments)
    claims = {"agency": options.agency} if options.agency else {}
    print(ask(port_of("oidc", options.base_port), options.sub, [options.role], _ACR + options.acr, claims))
    return 0


def ask(port: int, subject: str, scopes: Sequence[str], acr: str, claims: dict[str, str]) -> str:
    """The access token the provider on `port` issues. Raises LocalError when it does not run or refuses."""
    body = json.dumps({"sub": subject, "scopes": list(scopes), "acr": acr, "claims": claims})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/sandbox/token", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
    except OSError as error:
        raise LocalError("The development OpenID provider does not run: start it with `./dev up`.") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise LocalError(f"The development OpenID provider refused with status {answer.status}.")
    return str(json.loads(content)["access_token"])
