"""Settings of every process, built once from the environment (`PSKD_…`)."""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_HOST = re.compile(r"[a-z0-9.-]+|[0-9a-f:]+")  # a name or an address, without scheme, port or brackets

Days = Annotated[float | None, Field(gt=0, le=36500)]
Rate = Annotated[str | None, Field(pattern=r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$")]


def _in_home(name: str) -> Any:
    """A default below `home`, which is validated first because it is declared first."""
    return lambda data: str(data["home"] / name)


def _third_of_lease(data: dict[str, Any]) -> float:
    """Two renewals may fail before the lease is lost."""
    lease_s: float = data["lease_s"]
    return lease_s / 3


class Settings(BaseSettings):
    """Where state lives, and the clockwork of leases."""

    model_config = SettingsConfigDict(env_prefix="PSKD_", frozen=True, extra="ignore")

    home: Path = Field(default_factory=lambda: Path.home() / ".pskd", description="folder of all state")
    database_url: str = Field(default_factory=lambda data: f"sqlite:///{data['home'] / 'pskd.db'}")
    broker_url: str = "redis://127.0.0.1:6379/0"
    object_store_url: str = Field(default_factory=_in_home("objects"), description="a folder, or `s3://bucket/prefix`")
    cache_dir: Path = Field(default_factory=_in_home("cache"), validate_default=True, description="unpacked trees")
    mlflow_url: str | None = Field(default=None, description="tracking server; none means no tracking")

    lease_s: float = Field(default=30.0, gt=0, description="life of a lease that nobody renews")
    heartbeat_s: float = Field(default_factory=_third_of_lease, gt=0, description="time between renewals")
    reaper_s: float = Field(default_factory=_third_of_lease, gt=0, description="time between looks for expired leases")
    max_stalled_attempts: int = Field(default=3, ge=1, description="attempts without a new checkpoint")
    tenant_runs_at_once: int | None = Field(default=None, ge=1, description="of one tenant; none means no limit")
    tenant_waiting_jobs: int | None = Field(default=None, ge=1, description="of one tenant; none means no limit")
    tenant_storage_bytes: int | None = Field(default=None, ge=1, description="of one tenant; none means no limit")
    renudge_s: float = Field(default=5.0, gt=0, description="a queued run unclaimed for so long is nudged again")

    collect_s: float = Field(default=6 * 3600.0, gt=0, description="time between collections of unreferenced objects")
    collect_grace_s: float = Field(
        default=24 * 3600.0, gt=0, description="an object put within this time may still be named by a row to come"
    )

    retention_checkpoints_days: Days = Field(
        default=None, description="ended jobs keep their checkpoints for so long; none: for ever, as with the next two"
    )
    retention_curves_days: Days = None
    retention_events_days: Days = None
    retention_classifications_days: Days = Field(
        default=None, description="classifications that have ended are kept for so long; none: for ever"
    )

    idempotency_days: float = Field(default=90.0, gt=0, le=36500, description="repeated creations are known as such")

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    require_keys: bool = Field(default=False, description="let in only who bears an API key; else listen on loopback")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="names, divided by commas, under which the service is reached with keys"
    )
    readers: int = Field(default=2, ge=1, description="processes of an API that read uploaded recordings")
    reader_memory_bytes: int = Field(
        default=2 * 2**30, gt=0, description="of one reader; 64 MiB of CSV need up to 1.3 GiB"
    )
    reader_timeout_s: float = Field(default=30.0, gt=0, description="to read one recording")
    tenant_streams: int = Field(default=32, ge=1, description="of live samples, open at one API process")
    tenant_followers: int = Field(default=100, ge=1, description="event streams, open at one API process")
    tenant_uploads: int = Field(default=16, ge=1, description="files that arrive at one API process at a time")
    body_idle_s: float = Field(default=60.0, gt=0, description="a request whose body stops for so long is refused")
    stream_idle_s: float = Field(default=60.0, gt=0, description="a stream without a message for so long is closed")
    stream_samples_per_s: int = Field(default=5000, ge=1, description="of one stream; faster ones are read slower")
    max_upload_bytes: int = Field(default=8 * 2**30, gt=0)
    allow_path_import: bool = Field(default=False, description="may a request name a folder of the server")

    rate_limit_reads: Rate = Field(
        default=None, description="budget of a caller, such as `6000/minute`; none: no limit"
    )
    rate_limit_writes: Rate = None
    rate_limit_classify: Rate = None

    webhook_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(), description="networks, divided by commas, that webhooks may reach though they are not public"
    )

    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(), description="networks, divided by commas, whose `X-Forwarded-For` and `-Proto` are believed"
    )

    log_format: Literal["text", "json"] = Field(default="text", description="json: one object a line")

    @field_validator("allowed_hosts", "trusted_proxies", "webhook_networks", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [part.strip().lower() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} is no host; name hosts without scheme and port, such as pskd.example.org")
        return hosts

    @model_validator(mode="after")
    def _heartbeat_fits_lease(self) -> Self:
        if self.heartbeat_s >= self.lease_s:
            raise ValueError("heartbeat_s must be shorter than lease_s; a third of it is the default")
        return self
