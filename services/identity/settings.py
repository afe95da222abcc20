"""What the identity service needs beside the common settings. Reads nothing but environment variables."""

from pydantic import Field, SecretStr

from shared.settings import CommonSettings


class IdentitySettings(CommonSettings):
    """Where the residents' register answers, and the bearer token that it knows us by."""

    register_url: str = Field(pattern=r"^https?://[^\s?#]+$", description="the register's address, without ? and #")
    register_token: SecretStr = Field(min_length=8, description="the bearer token the register gave us")
