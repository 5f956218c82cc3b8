"""Specs as a user gives them: a file or a preset, with single fields set on the command line."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from pskd_core.config import merge
from pskd_core.errors import SpecError
from pskd_core.experiments import parse_setting


class BadSpecFile(ValueError):
    """The file or a setting cannot be understood."""


def read_spec(file: Path | None, *, preset: str | None, settings: Iterable[str]) -> dict[str, Any]:
    """The request body: the file's fields, the preset's name, and the settings laid over them.

    Raises:
        BadSpecFile: the file is no YAML mapping, or a setting is not `path=value`.
    """
    fields = read_mapping(file, such_as="`method:` and `training:`") if file is not None else {}
    if preset is not None:
        fields["preset"] = preset
    for setting in settings:
        fields = merge(fields, _nested(setting))
    return fields


def read_mapping(file: Path, *, such_as: str) -> dict[str, Any]:
    """The fields of a YAML file. Raises BadSpecFile."""
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as unreadable:
        raise BadSpecFile(f"{file} cannot be read: {unreadable}") from unreadable
    if not isinstance(loaded, dict):
        raise BadSpecFile(f"{file} must hold a mapping of spec fields, such as {such_as}")
    return loaded


def _nested(setting: str) -> Mapping[str, Any]:
    try:
        return parse_setting(setting)
    except SpecError as error:
        raise BadSpecFile(str(error)) from error
