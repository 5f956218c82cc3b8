"""Numbers as pages show them, results pooled over runs, and the files that come along."""

import re
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.pages import assets
from api.pages.rendering import amount, count, in_bytes, lasting, per_cent, points, spread, when
from api.pages.results import Judged, pooled
from api.pages.sweeps import HeatRow, heat_rows
from api.schemas.jobs import RunOut
from api.schemas.sweeps import HeatMap
from pskd_core.evaluation.metrics import SubjectScores
from store.lifecycle import JobEvent, JobState, RunState, possible

STATIC = Path(assets.__file__).parent / "static"
VENDOR = STATIC / "vendor"


def report(confusion: list[list[int]], subjects: dict[str, tuple[float, int]]) -> dict[str, object]:
    """What one run reports of its student's test and of one teacher's."""
    told = {name: SubjectScores(accuracy=of, n=n).model_dump() for name, (of, n) in subjects.items()}
    teacher = {"test": {"confusion": [[0, 2], [0, 2]], "per_subject": {}}, "validation": None}
    part = {"confusion": confusion, "per_subject": told}
    return {"classes": ["sit", "run"], "test": part, "validation": None, "teachers": {"big": teacher}}


def test_runs_are_added_up() -> None:
    """Two runs of 4 and 4 recordings are one matrix of 8, and a subject's share counts its recordings."""
    found = pooled(
        [report([[2, 0], [1, 1]], {"2": (1.0, 1), "10": (2 / 3, 3)}), report([[1, 1], [0, 2]], {"2": (0.0, 1)})],
        part="test",
        network="student",
    )
    assert found is not None
    assert (found.n, found.accuracy) == (8, 6 / 8)
    assert [row.cells for row in found.classes] == [((3, 8), (1, 3)), ((1, 3), (3, 8))]
    assert [(row.name, row.accuracy, row.n) for row in found.subjects] == [("2", 0.5, 2), ("10", 2 / 3, 3)]


def test_a_teacher_has_results_of_its_own() -> None:
    """The network that is asked for is shown, and none where it was not measured."""
    whole = [report([[2, 0], [0, 2]], {})]
    teacher = pooled(whole, part="test", network="big")
    assert teacher is not None
    assert teacher.accuracy == 0.5
    assert pooled(whole, part="validation", network="student") is None
    assert pooled(whole, part="test", network="unknown") is None
    assert pooled([], part="test", network="student") is None


def run(result: dict[str, Any] | None) -> RunOut:
    """A run with that result."""
    rest = dict.fromkeys(("cause", "detail", "started_at", "finished_at"))
    return RunOut(
        id="r",
        job_id="j",
        seed=0,
        fold="all",
        state=RunState.RUNNING,
        epoch=1,
        epochs=2,
        attempts=1,
        result=result,
        **rest,
    )


def test_a_run_without_test_is_judged_by_its_validation() -> None:
    """The test comes first, for student and teachers alike; without any there is no score."""
    teachers = {"big": {"test": {"accuracy": 0.5}, "validation": {"accuracy": 0.25}}, "new": {"test": None}}
    both = Judged.of(run({"test": {"n": 1}, "validation": {"n": 2}, "teachers": teachers}))
    assert (both.part, both.scores, both.teachers) == ("test", {"n": 1}, {"big": 0.5})
    one = Judged.of(run({"test": None, "validation": {"n": 2}, "teachers": teachers}))
    assert (one.part, one.scores, one.teachers) == ("validation", {"n": 2}, {"big": 0.25})
    assert Judged.of(run(None)).part is None


def test_numbers_are_written_for_people() -> None:
    """Fractions as per cent, long numbers short, and a dash for what is not known."""
    assert [per_cent(0.66666), per_cent(None), per_cent(0.9519, 2)] == ["66.7 %", "–", "95.19 %"]
    assert spread(SimpleNamespace(mean=0.5, sd=0.0123)) == "50.0 ± 1.2 %"
    assert [spread(SimpleNamespace(mean=0.5, sd=None)), spread(None)] == ["50.0 %", "–"]
    assert points(SimpleNamespace(mean=-0.021, sd=0.004)) == "-2.1 ± 0.4"
    assert [count(36000), count(None)] == ["36\N{NARROW NO-BREAK SPACE}000", "–"]
    assert [amount(258918), amount(10_588_928), amount(12), in_bytes(2_145_586), in_bytes(999)] == [
        "259 k", "10.6 M", "12", "2.15 MB", "999 B",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(None, "–"), (4.2, "4 s"), (60, "1 min 0 s"), (3725, "1 h 2 min"), (90_000, "1 d 1 h")],
)
def test_durations_have_two_units(seconds: float | None, told: str) -> None:
    """Whoever waits wants to know about when."""
    assert lasting(seconds) == told


def test_a_heat_map_is_shaded_from_its_lowest_to_its_highest() -> None:
    """The worst score is the palest and the best the darkest; what was not tried has none, and one score is full."""
    axes = {"x": "a", "y": "b", "x_values": (1, 2), "y_values": ("low",)}
    found = heat_rows(HeatMap(**axes, mean=((0.5, 0.7),), best=((0.5, 0.7),)))
    assert found == (HeatRow("low", ((0.5, 0), (0.7, 10))),)
    alone = heat_rows(HeatMap(**axes, mean=((None, 0.7),), best=((None, 0.7),)))
    assert alone[0].cells == (None, (0.7, 10))


def test_times_are_of_one_zone() -> None:
    """What is stored in another zone is shown in UTC, and says so."""
    assert when(datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-02 01:04 UTC"
    assert when(datetime(2026, 1, 2, 3, 4, tzinfo=UTC)) == "2026-01-02 03:04 UTC"


def test_what_a_job_can_be_asked_follows_from_its_state() -> None:
    """A running job may be paused or cancelled, a failed one tried again, an ended one nothing."""
    assert possible(JobState.RUNNING) == {JobEvent.PAUSE, JobEvent.CANCEL}
    assert possible(JobState.FAILED) == {JobEvent.RETRY}
    assert possible(JobState.SUCCEEDED) == frozenset()


def test_files_of_others_are_as_they_were_published() -> None:
    """Each has its licence beside it and the checksum that the table names."""
    table = (VENDOR / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` .*`([^`]+\.LICENSE\.txt)` \| `([0-9a-f]{64})` \|$", table, flags=re.MULTILINE)
    found = {(file.name, sha256(file.read_bytes()).hexdigest()) for file in VENDOR.glob("*.min.*")}
    assert {(name, digest) for name, _, digest in rows} == found
    assert all((VENDOR / licence).stat().st_size > 200 for _, licence, _ in rows)


def test_a_changed_file_has_another_address() -> None:
    """The address carries a digest of the content, so it may be kept for a year."""
    name, digest = "app.css", sha256((STATIC / "app.css").read_bytes()).hexdigest()
    assert assets.address(name) == f"/static/{name}?{digest[:12]}"
