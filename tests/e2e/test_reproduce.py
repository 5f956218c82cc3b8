"""An experiment as jobs on a running stack: the figures of the command line; a repeated command finds its jobs."""

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from client.api import Client
from client.cli import app
from client.reproduce import find_or_submit, key_of
from pskd_core.config import parse_spec
from pskd_core.experiments import Experiment, experiment, row_specs
from pskd_core.report.document import Report
from pskd_core.reproduce import reproduce
from tests.small import small_dataset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SETTINGS = (
    "training.epochs=1",
    "training.batch_size=16",
    "feature_dim=16",
    "preprocess.skeleton_frames=16",
    "preprocess.sensor_frames=32",
)

Pskd = Callable[..., Result]


@pytest.fixture
def pskd(stack_url: str, dataset_id: str, tmp_path: Path) -> Pskd:
    """Runs `pskd reproduce` on the stack, in this process."""
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    fixed = ["--dataset", dataset_id, "--out", str(tmp_path), *settings]
    return lambda *arguments: CliRunner().invoke(app, ["--url", stack_url, "reproduce", *arguments, *fixed])


def chosen() -> Experiment:
    return experiment("headline", layout="synthetic")


def local_report(folder: Path) -> Report:
    """The same experiment on the same data without a service."""
    protocol = {"kind": "loso", "subjects": ["1", "3"]}
    common = {"protocol": protocol, "seeds": [0, 1]}
    specs = row_specs(chosen(), preset="demo", common=common, settings=SETTINGS)
    dataset = small_dataset(folder / "dataset")
    return reproduce(chosen(), specs, dataset, folder / "out", preset="demo", jobs=2, console=Console(quiet=True))


def test_a_service_and_the_command_line_report_the_same(pskd: Pskd, service: Client, tmp_path: Path) -> None:
    """Every figure, interval and test is equal; again, the command finds its jobs and writes the same report."""
    asked = ("headline", "--seeds", "2", "--protocol", "inner_loso")
    first = pskd(*asked)
    assert first.exit_code == 0, first.output
    assert "development" in (tmp_path / "headline" / "report.md").read_text(encoding="utf-8").lower()
    report = Report.model_validate_json((tmp_path / "headline" / "report.json").read_bytes())
    here = {"dataset", "specs", "took_s"}  # its name, the job's fields, the time
    assert report.model_dump(exclude=here) == local_report(tmp_path).model_dump(exclude=here)
    names = [job.name for job in service.jobs() if job.name.startswith("headline ")]
    assert sorted(names) == ["headline PSKD", "headline Random forest", "headline none"]

    again = pskd(*asked, "--json")
    assert again.exit_code == 0, again.output
    assert Report.model_validate(json.loads(again.stdout)) == report
    assert [job.name for job in service.jobs() if job.name.startswith("headline ")] == names


def test_a_cancelled_job_is_submitted_anew(service: Client, dataset_id: str) -> None:
    """What is there is found; what somebody has cancelled would never end, so a new job takes its place."""
    fields = {"name": "anew", "dataset": dataset_id, "training": {"epochs": 500}}
    spec = parse_spec({"preset": "demo", **fields})
    first = find_or_submit(service, spec)
    assert find_or_submit(service, spec).id == first.id
    service.cancel(first.id)
    assert service.wait(first.id).state == "cancelled"
    second = find_or_submit(service, spec)
    assert second.id != first.id
    assert find_or_submit(service, spec).id == second.id
    service.cancel(second.id)


def test_jobs_of_another_version_are_not_found(service: Client, dataset_id: str) -> None:
    """What another version of the package has submitted stays its own; this one's job is found under its version."""
    spec = parse_spec({"preset": "demo", "name": "versions", "dataset": dataset_id, "training": {"epochs": 500}})
    old = service.submit(spec, key=key_of(spec, 0, release="0.0.1"))
    found = find_or_submit(service, spec)
    assert found.id != old.id
    assert service.submit(spec, key=key_of(spec, 0, release=version("pskd"))).id == found.id
    for job in (old, found):
        service.cancel(job.id)


def test_wrong_wishes_are_refused(pskd: Pskd) -> None:
    """The row, the protocol or the seeds that are wrong are named, and nothing is submitted."""
    refused = pskd("table4", "--set", "nobody:training.epochs=3")
    assert refused.exit_code == 1
    assert "has no row 'nobody'" in refused.output
    refused = pskd("table4", "--protocol", "cross_view")
    assert refused.exit_code == 1
    assert "cross_view" in refused.output
    assert pskd("table4", "--seeds", "many").exit_code == 2
