"""Analytics' own settings beside the common ones."""

from pydantic import Field

from shared.settings import CommonSettings


class Settings(CommonSettings):
    """What the analytics roles are told by their environment."""

    kpi_overlap: int = Field(
        1_000, ge=0, le=1_000_000, description="events read again per partition and topic after each assignment"
    )
    kpi_publish_seconds: float = Field(
        0.5, gt=0, le=60, allow_inf_nan=False, description="seconds between looks for changed KPIs, above 0 up to 60"
    )
    kpi_target_p50_seconds: int = Field(
        300, ge=1, description="seconds from submission to decision promised for half of the dossiers"
    )
    kpi_target_p90_seconds: int = Field(
        432_000, ge=1, description="seconds from submission to decision promised for nine in ten dossiers"
    )
