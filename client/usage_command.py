"""`pskd usage`."""

import typer

from client import output
from client.options import AsJson, service_of
from client.upkeep import Kept, Usage

_STEP = 1024
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
# Rows that name no object by themselves.
_WITHOUT_OBJECTS = frozenset({"jobs", "sweeps"})


def usage(ctx: typer.Context, as_json: AsJson = False) -> None:
    """How much is stored of what, how much may be, and what is left."""
    with service_of(ctx) as service:
        found = service.usage()
    if as_json:
        output.print_json(found)
    else:
        output.print_table([_row(kind, kept) for kind, kept in found.kinds.items()], ["kind", "count", "size"])
        for line in lines(found):
            output.stdout().print(line, markup=False)


def _row(kind: str, kept: Kept) -> list[str]:
    return [kind.replace("_", " "), str(kept.count), "" if kind in _WITHOUT_OBJECTS else size(kept.size_bytes)]


def lines(found: Usage) -> list[str]:
    """What stands below the table."""
    limit = "no limit is set"
    if found.limit_bytes is not None and found.left_bytes is not None:
        limit = f"{size(found.left_bytes)} left of {size(found.limit_bytes)}"
    told = [f"{size(found.size_bytes)} in all; {limit}"]
    if found.cached_bytes:
        told.append(f"besides, {size(found.cached_bytes)} of kept answers of teachers, which count for no limit")
    if found.unmeasured:
        told.append(f"{found.unmeasured} objects of an older version are not measured yet and not counted")
    return told


def size(count: int) -> str:
    """Bytes as people read them: in the largest unit of 1024 of which there is one."""
    amount, unit = float(count), 0
    while amount >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    return f"{amount:.1f} {_UNITS[unit]}" if unit else f"{count} bytes"
