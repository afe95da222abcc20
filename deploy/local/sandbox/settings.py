"""The settings every stand-in shares, read from the environment without a prefix."""

from pathlib import Path
from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class SandboxSettings(BaseSettings):
    """Where to listen and where to keep state. ENVIRONMENT other than development is refused."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    http_host: str = "127.0.0.1"
    http_port: int = 0
    data_dir: Path = Path(".local/sandbox")
    environment: Literal["development"] = "development"
    sandbox_public_url: str = ""

    def origin(self) -> str:
        """The address browsers use, without a trailing slash."""
        return (self.sandbox_public_url or f"http://{self.http_host}:{self.http_port}").rstrip("/")
