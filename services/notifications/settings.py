"""What the notifications service needs beside the common settings: a mail server and whom mails come from."""

from typing import Self

from pydantic import Field, SecretStr, model_validator

from shared.settings import CommonSettings


class NotificationsSettings(CommonSettings):
    """The mail server (login and STARTTLS as it wants them) and the sender of all mails."""

    smtp_host: str = Field(min_length=1, description="the mail server's name or address")
    smtp_port: int = Field(25, ge=1, le=65535, description="a port number between 1 and 65535")
    smtp_username: str | None = Field(None, description="the name to log in with, together with SMTP_PASSWORD")
    smtp_password: SecretStr | None = Field(None, description="the password, together with SMTP_USERNAME")
    smtp_starttls: bool = Field(False, description="true (encrypt, verify the certificate) or false")
    mail_from: str = Field(
        pattern=r"^[!-~]+@[!-~]+$", description="the sender's address, such as counter@emmen.example"
    )
    mail_domain: str = Field(pattern=r"^[a-z0-9.-]+$", description="the domain of Message-IDs, such as emmen.example")
    municipality: str = Field("Emmen", min_length=1, max_length=35, description="the municipality's name in mails")

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        if (self.smtp_username is None) != (self.smtp_password is None):
            raise ValueError("SMTP_USERNAME, SMTP_PASSWORD: expected both or neither")
        if self.environment == "production" and self.smtp_username is not None and not self.smtp_starttls:
            raise ValueError("SMTP_STARTTLS: expected true in production, so that the password travels encrypted")
        return self
