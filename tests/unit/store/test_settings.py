"""Settings from the environment."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from store.settings import Settings


def test_everything_lives_in_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One variable moves all state."""
    monkeypatch.setenv("PSKD_HOME", str(tmp_path))
    settings = Settings()
    assert settings.database_url == f"sqlite:///{tmp_path}/pskd.db"
    assert settings.object_store_url == str(tmp_path / "objects")
    assert settings.cache_dir == tmp_path / "cache"


def test_each_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set is taken, and checked."""
    monkeypatch.setenv("PSKD_DATABASE_URL", "postgresql://db/pskd")
    monkeypatch.setenv("PSKD_LEASE_S", "2")
    assert (Settings().database_url, Settings().lease_s) == ("postgresql://db/pskd", 2.0)
    monkeypatch.setenv("PSKD_LEASE_S", "0")
    with pytest.raises(ValidationError):
        Settings()


def test_heartbeat_must_fit_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heartbeat that comes after the lease has run out would lose every run."""
    monkeypatch.setenv("PSKD_LEASE_S", "5")
    monkeypatch.setenv("PSKD_HEARTBEAT_S", "6")
    with pytest.raises(ValidationError, match="heartbeat"):
        Settings()
