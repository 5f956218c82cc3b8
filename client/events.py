"""Events of a job, as they stream in."""

from collections.abc import Iterable, Iterator

from client.answers import Event


def events_of(lines: Iterable[str]) -> Iterator[Event]:
    """Server-sent events; their number and kind stand in the data as well."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield Event.model_validate_json("\n".join(data))
            data = []
