"""Events of a job, as they stream in."""

from collections.abc import Iterable, Iterator

from client.answers import Event


class EventReader:
    """Server-sent events out of their lines; their number and kind stand in the data as well."""

    def __init__(self) -> None:
        self._data: list[str] = []

    def take(self, line: str) -> Event | None:
        """The event that this line ends, if it does."""
        if line.startswith("data:"):
            self._data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and self._data:
            text, self._data = "\n".join(self._data), []
            return Event.model_validate_json(text)
        return None


def events_of(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a stream."""
    reader = EventReader()
    yield from (event for line in lines if (event := reader.take(line)) is not None)
