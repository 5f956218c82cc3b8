"""Long recordings: handed in, labelled by a worker while nobody waits, their timelines read line by line."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO, Unpack
from urllib.parse import quote

from client.answers import Answer, Overview, Page, Segment, Window
from client.asking import ENDED, LOOK_EVERY_S, A, Asking
from client.reading import Reading
from client.upkeep import Deletion

_PATH = "/v1/classifications"


class LongOverview(Overview):
    """What a long recording shows as a whole."""

    windows: int
    segments: int
    shares: dict[str, float]  # of its time, by label, largest first


class Place(Answer):
    """Where in a file it is that cannot be read."""

    file: str | None
    row: int | None
    column: str | None


class LongSummary(Answer):
    """A long recording that is labelled, or has been."""

    id: str
    state: str
    filename: str
    model: str
    version: int
    progress: float  # in [0, 1]
    cause: str | None
    detail: str | None
    place: Place | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class LongClassification(LongSummary):
    """The same with how it is read and, once it has succeeded, what was found."""

    reading: dict[str, Any]
    overview: LongOverview | None


class Classifications(Asking):
    """Operations of `Client` on long recordings."""

    def classify_long(
        self,
        model: str,
        recording: BinaryIO,
        *,
        filename: str = "recording",
        key: str | None = None,
        **reading: Unpack[Reading],
    ) -> LongClassification:
        """Hand in a recording of any length (docs/recordings.md), which a worker labels; options as of `classify`.

        With a `key`, handing in the same again gives the classification that is there already.
        """

        def body() -> dict[str, Any]:
            recording.seek(0)
            return {"files": {"file": (filename, recording)}}

        return self._post(
            LongClassification,
            _PATH,
            body,
            key=key,
            model=model,
            **reading,
        )

    def classifications(self, *, state: str | None = None) -> Iterator[LongSummary]:
        """All long recordings that were handed in, newest first."""
        return self._pages(_PATH, Page[LongSummary], state=state)

    def classification(self, classification_id: str) -> LongClassification:
        """One as it stands."""
        return self._get(LongClassification, _of(classification_id))

    def follow_classification(self, classification_id: str) -> Iterator[LongClassification]:
        """One as it stands now and whenever it has come further, until it has ended, however it ended."""
        yield (seen := self.classification(classification_id))
        while seen.state not in ENDED:
            time.sleep(LOOK_EVERY_S)
            now = self.classification(classification_id)
            if (now.state, now.progress) != (seen.state, seen.progress):
                yield (seen := now)

    def cancel_classification(self, classification_id: str) -> LongClassification:
        """End one that has not ended; nothing of it stays."""
        return self._post(LongClassification, f"{_of(classification_id)}/cancel")

    def delete_classification(self, classification_id: str) -> Deletion:
        """Delete one that has ended, with its timeline."""
        return self._delete(_of(classification_id))

    def segments(self, classification_id: str) -> Iterator[Segment]:
        """The timeline of one that has succeeded, segment by segment as they arrive."""
        return self._lines(Segment, f"{_of(classification_id)}/segments")

    def windows(self, classification_id: str) -> Iterator[Window]:
        """Its windows, one by one as they arrive."""
        return self._lines(Window, f"{_of(classification_id)}/windows")

    def _lines(self, answer: type[A], path: str) -> Iterator[A]:
        for line in self.transport.lines(path):
            yield answer.model_validate_json(line)


def _of(classification_id: str) -> str:
    return f"{_PATH}/{quote(classification_id, safe='')}"
