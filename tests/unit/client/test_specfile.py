"""A job spec from a file, a preset and single settings."""

from pathlib import Path

import pytest

from client.specfile import BadSpecFile, read_spec


def test_settings_are_laid_over_the_file(tmp_path: Path) -> None:
    """A setting changes its own field and leaves the others of the same mapping."""
    file = tmp_path / "spec.yaml"
    file.write_text("training: {epochs: 60, batch_size: 16}\nseeds: [0]\n")
    spec = read_spec(file, preset=None, settings=["training.epochs=10", "seeds=[1, 2]"])
    assert spec == {"training": {"epochs": 10, "batch_size": 16}, "seeds": [1, 2]}


def test_setting_another_kind_replaces_the_mapping(tmp_path: Path) -> None:
    """A setting that names another kind drops the fields of the former one, as the service's own merging does."""
    file = tmp_path / "spec.yaml"
    file.write_text("method: {kind: distill, loss: {alpha: 1}}\n")
    assert read_spec(file, preset=None, settings=["method.kind=none"]) == {"method": {"kind": "none"}}


def test_preset_goes_by_its_name() -> None:
    """A preset is resolved by the service, which owns it."""
    assert read_spec(None, preset="demo", settings=["dataset=made"]) == {"preset": "demo", "dataset": "made"}


@pytest.mark.parametrize("setting", ["training.epochs", "=3", "training..epochs=3", "seeds=[1"])
def test_setting_that_cannot_be_read_is_refused(setting: str) -> None:
    """A setting without a path, a value or an equals sign is named in the message."""
    with pytest.raises(BadSpecFile, match=r"--set"):
        read_spec(None, preset="demo", settings=[setting])


@pytest.mark.parametrize("content", [b"- a\n- b\n", b"a: [", b"\xff\xfe\x00"])
def test_file_that_is_no_mapping_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that holds something else than fields is refused with its name."""
    file = tmp_path / "spec.yaml"
    file.write_bytes(content)
    with pytest.raises(BadSpecFile, match=r"spec\.yaml"):
        read_spec(file, preset=None, settings=[])


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(BadSpecFile, match="absent"):
        read_spec(tmp_path / "absent.yaml", preset=None, settings=[])
