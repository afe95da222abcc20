"""An OpenID provider in the manner of AGOV: code flow with PKCE, assurance levels, test people instead of passwords."""

from deploy.local.sandbox.oidc.api import OidcSettings, create_app

__all__ = ["OidcSettings", "create_app"]
