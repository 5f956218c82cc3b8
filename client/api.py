"""The SDK: the service's operations as typed methods.

Example:
    with Client() as service:
        dataset = service.import_synthetic("demo")
        service.wait_for_dataset(dataset.id)
        job = service.submit({"preset": "demo", "dataset": "demo", "seeds": [0, 1]})
        for event in service.follow(job.id):
            print(event.kind, event.data)
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Unpack
from urllib.parse import quote

from numpy.typing import ArrayLike

from client.answers import (
    AliasChange,
    Classification,
    Dataset,
    DatasetSummary,
    Estimate,
    Event,
    Job,
    JobMetrics,
    JobSummary,
    Model,
    ModelAlias,
    Page,
    Recording,
    RecordingSummary,
    Run,
    RunCurves,
    RunReport,
    Sweep,
    SweepEstimate,
    SweepSummary,
)
from client.asking import ENDED, LOOK_EVERY_S
from client.classifications import Classifications
from client.errors import ImportFailed, NoDataset, NotFound, Refused, Unreachable, WaitedTooLong
from client.events import events_of
from client.leaderboard import Comparison, Leaderboard, LeaderboardRow, PublishedRow
from client.live import Asked, Told, labels
from client.reading import Reading
from client.transport import Patience
from client.upkeep import Deletion, Key, NewKey, Usage
from client.webhooks import Delivery, Webhook
from pskd_core.config import JobSpec
from pskd_core.sweep import Sweep as SweepSpec

# Enough for a service that restarts: about forty seconds of silence.
FOLLOW_ATTEMPTS = 10


class Client(Classifications):
    """A service at one URL: by default PSKD_URL's, else this machine's embedded stack; the key is PSKD_API_KEY's."""

    # --- Datasets -------------------------------------------------------------------------------------------------

    def upload_dataset(self, archive: BinaryIO, *, name: str, filename: str = "dataset.zip") -> Dataset:
        """Import a zip; a worker validates it."""

        def body() -> dict[str, Any]:
            archive.seek(0)
            return {"files": {"file": (filename, archive, "application/zip")}, "data": {"name": name}}

        return self._post(Dataset, "/v1/datasets", body)

    def import_path(self, path: Path, *, name: str) -> Dataset:
        """Import a folder or zip that the service itself can read, if its operator allows that."""
        return self._import({"kind": "path", "path": str(path.resolve())}, name)

    def import_synthetic(self, name: str, /, **recipe: int) -> Dataset:
        """Import a generated dataset; `recipe` may give subjects, trials, classes, seed."""
        return self._import({"kind": "synthetic", **recipe}, name)

    def _import(self, source: Mapping[str, Any], name: str) -> Dataset:
        body = {"name": name, "source": source}
        return self._post(Dataset, "/v1/datasets", lambda: {"json": body})

    def datasets(self) -> Iterator[DatasetSummary]:
        """All datasets, newest first."""
        return self._pages("/v1/datasets", Page[DatasetSummary])

    def dataset(self, dataset_id: str) -> Dataset:
        """One dataset with what its import found."""
        return self._get(Dataset, f"/v1/datasets/{quote(dataset_id, safe='')}")

    def find_dataset(self, id_or_name: str) -> Dataset:
        """By id, else the newest of that name whose import has not failed, else the newest of that name.

        Raises:
            NoDataset: there is none.
        """
        found = [each for each in self.datasets() if id_or_name in {each.id, each.name}]
        if not found:
            raise NoDataset(f"there is no dataset {id_or_name!r}")
        return self.dataset(next((each for each in found if each.state != "failed"), found[0]).id)

    def wait_for_dataset(self, dataset_id: str, *, timeout_s: float = 3600.0) -> Dataset:
        """The dataset once it is ready.

        Raises:
            ImportFailed: it cannot be used.
            WaitedTooLong: the import goes on after `timeout_s`.
        """
        began = time.monotonic()
        while not is_imported(dataset := self.dataset(dataset_id), waited_s=time.monotonic() - began, most_s=timeout_s):
            time.sleep(LOOK_EVERY_S)
        return dataset

    def delete_dataset(self, dataset_id: str, *, force: bool = False) -> Deletion:
        """Delete a dataset; with `force` its sweeps and jobs go along."""
        return self._delete(f"/v1/datasets/{quote(dataset_id, safe='')}", force=force)

    def recordings(self, dataset_id: str) -> Iterator[RecordingSummary]:
        """All recordings of a dataset."""
        return self._pages(f"/v1/datasets/{dataset_id}/recordings", Page[RecordingSummary])

    def recording(self, dataset_id: str, recording_id: str, *, points: int = 5000) -> Recording:
        """One recording's series; a series of more than `points` samples is thinned."""
        path = f"/v1/datasets/{dataset_id}/recordings/{recording_id}"
        return self._get(Recording, path, points=points)

    # --- Jobs -----------------------------------------------------------------------------------------------------

    def submit(self, spec: JobSpec | Mapping[str, Any], *, key: str | None = None) -> Job:
        """Start a job from a spec, or from `{"preset": …}` with fields laid over it.

        With a `key`, submitting the same again gives the job that is there already, as it was when it began.
        """
        return self._post(Job, "/v1/jobs", lambda: {"json": _plain(spec)}, key=key)

    def estimate(self, spec: JobSpec | Mapping[str, Any]) -> Estimate:
        """What submitting it would do; nothing is started."""
        return self._post(Estimate, "/v1/jobs", lambda: {"json": _plain(spec)}, dry_run=True)

    def jobs(self, *, state: str | None = None) -> Iterator[JobSummary]:
        """All jobs, newest first."""
        return self._pages("/v1/jobs", Page[JobSummary], state=state)

    def job(self, job_id: str) -> Job:
        """One job as it stands."""
        return self._get(Job, f"/v1/jobs/{job_id}")

    def runs(self, job_id: str) -> Iterator[Run]:
        """The runs of a job, with results of those that have succeeded."""
        return self._pages(f"/v1/jobs/{job_id}/runs", Page[Run])

    def report(self, run_id: str) -> RunReport:
        """What a finished run measured, in full."""
        return self._get(RunReport, f"/v1/runs/{run_id}/report")

    def predictions(self, run_id: str) -> bytes:
        """What a finished run's student said of every sample, as an `.npz`; the core's `read_predictions` reads it."""
        return self.transport.get(f"/v1/runs/{run_id}/predictions").content

    def cancel(self, job_id: str) -> Job:
        """End a job; what it has finished stays."""
        return self._ask(job_id, "cancel")

    def pause(self, job_id: str) -> Job:
        """Stop a job at a checkpoint."""
        return self._ask(job_id, "pause")

    def resume(self, job_id: str) -> Job:
        """Let a paused job go on."""
        return self._ask(job_id, "resume")

    def retry(self, job_id: str) -> Job:
        """Run a failed job's failed runs again, from their checkpoints."""
        return self._ask(job_id, "retry")

    def delete_job(self, job_id: str, *, force: bool = False) -> Deletion:
        """Delete an ended job; with `force` its results and the versions of models that it registered go along."""
        return self._delete(f"/v1/jobs/{quote(job_id, safe='')}", force=force)

    def _ask(self, job_id: str, what: str) -> Job:
        return self._post(Job, f"/v1/jobs/{job_id}/{what}")

    def metrics(self, job_id: str, names: Iterable[str] = (), *, by_class: bool = False) -> tuple[RunCurves, ...]:
        """The curves of a job, run by run; all of them unless `names` are given, or those of single classes."""
        asked = {"name": list(names) or None, "by_class": by_class or None}
        return self._get(JobMetrics, f"/v1/jobs/{job_id}/metrics", **asked).runs

    def events(self, job_id: str) -> Iterator[Event]:
        """What has happened to a job so far."""
        return self._pages(f"/v1/jobs/{job_id}/events", Page[Event])

    def follow(self, job_id: str, *, after: int = 0) -> Iterator[Event]:
        """Events above `after` as they happen, until the job has ended; a broken connection is taken up again."""
        patience = Patience(attempts=FOLLOW_ATTEMPTS)
        while True:
            try:
                headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
                with self.transport.stream(f"/v1/jobs/{job_id}/events", headers) as response:
                    if response.status_code == 204:  # the job has ended and all was told
                        return
                    for event in events_of(response.iter_lines()):
                        after = event.seq
                        patience.renew()
                        yield event
            except (Unreachable, Refused) as error:
                time.sleep(patience.pause_after(error))

    def wait(self, job_id: str) -> Job:
        """The job once it has ended, however it ended."""
        for _ in self.follow(job_id):
            pass
        return self.job(job_id)

    # --- Sweeps ---------------------------------------------------------------------------------------------------

    def submit_sweep(self, sweep: SweepSpec | Mapping[str, Any]) -> Sweep:
        """Start a sweep; its trials are ordinary jobs."""
        return self._post(Sweep, "/v1/sweeps", lambda: {"json": _plain(sweep)})

    def estimate_sweep(self, sweep: SweepSpec | Mapping[str, Any]) -> SweepEstimate:
        """How many trials and runs it would be; nothing is started."""
        return self._post(SweepEstimate, "/v1/sweeps", lambda: {"json": _plain(sweep)}, dry_run=True)

    def sweeps(self) -> Iterator[SweepSummary]:
        """All sweeps, newest first."""
        return self._pages("/v1/sweeps", Page[SweepSummary])

    def sweep(self, sweep_id: str, *, x: str | None = None, y: str | None = None) -> Sweep:
        """One sweep as it stands; `x` and `y` are the parameters of its heat map."""
        return self._get(Sweep, f"/v1/sweeps/{quote(sweep_id, safe='')}", x=x, y=y)

    def sweep_summary(self, sweep_id: str) -> SweepSummary:
        """One sweep without its trials."""
        return self._get(SweepSummary, f"/v1/sweeps/{quote(sweep_id, safe='')}/summary")

    def cancel_sweep(self, sweep_id: str) -> Sweep:
        """End a sweep; what its trials have finished stays."""
        return self._post(Sweep, f"/v1/sweeps/{quote(sweep_id, safe='')}/cancel")

    def delete_sweep(self, sweep_id: str, *, force: bool = False) -> Deletion:
        """Delete an ended sweep; with `force` the jobs of its trials and their results go along."""
        return self._delete(f"/v1/sweeps/{quote(sweep_id, safe='')}", force=force)

    def follow_sweep(self, sweep_id: str) -> Iterator[Sweep]:
        """The sweep as it stands now and whenever a trial has changed its state, until it has ended."""
        yield (seen := self.sweep(sweep_id))
        while seen.state not in ENDED:
            time.sleep(LOOK_EVERY_S)
            now = self.sweep_summary(sweep_id)
            if (now.state, now.counts) != (seen.state, seen.counts):
                yield (seen := self.sweep(sweep_id))  # with all trials and scores, which are many

    # --- Leaderboard and models -----------------------------------------------------------------------------------

    def leaderboard(
        self,
        *,
        dataset: str | None = None,
        protocol: str | None = None,
        method: str | None = None,
        sort: str | None = None,
        against: str | None = None,
    ) -> Iterator[LeaderboardRow]:
        """Configurations over their seeds, best accuracy first unless `sort` says otherwise.

        Args:
            dataset: an id, a name or a digest.
            sort: such as `-macro_f1` or `parameters`; a leading minus puts the highest first.
            against: a row's id; every row then tells its paired difference to it.
        """
        filters = {"dataset": dataset, "protocol": protocol, "method": method, "sort": sort, "against": against}
        return self._pages("/v1/leaderboard", Page[LeaderboardRow], **filters)

    def published(self, *, dataset: str | None = None) -> tuple[PublishedRow, ...]:
        """What the paper prints, or that of it which is on the same recordings as `dataset`."""
        page = self._get(Leaderboard, "/v1/leaderboard", dataset=dataset, published=True, limit=1)
        return page.published or ()

    def compare(self, a: str, b: str) -> Comparison:
        """Two rows of the leaderboard, paired by seed and by recording."""
        return self._get(Comparison, "/v1/leaderboard/comparison", a=a, b=b)

    def models(self) -> Iterator[Model]:
        """All registered models."""
        return self._pages("/v1/models", Page[Model])

    def promote(
        self, model: str, version: int, *, alias: str = "champion", force: bool = False, reason: str | None = None
    ) -> ModelAlias:
        """Let an alias name this version, if the gate lets it pass and nobody moves the alias meanwhile.

        To roll back is to promote the former version. `force` overrules the gate and needs a `reason`.
        """
        path = f"/v1/models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}"
        try:
            condition = {"If-Match": self.transport.get(path).headers["ETag"]}
        except NotFound:  # a new alias; if it is the model that is missing, the next answer says so
            condition = {"If-None-Match": "*"}
        body = {"version": version, "force": force, "reason": reason}
        return self._read(ModelAlias, self.transport.put(path, body, condition))

    def history(self, model: str) -> Iterator[AliasChange]:
        """What happened to a model's aliases, newest first."""
        return self._pages(f"/v1/models/{quote(model, safe='')}/history", Page[AliasChange])

    def delete_model(self, model: str, *, version: int | None = None, force: bool = False) -> Deletion:
        """Delete a model, or one version of it; with `force` also if an alias names it."""
        path = f"/v1/models/{quote(model, safe='')}" + (f"/versions/{version}" if version is not None else "")
        return self._delete(path, force=force)

    def classify(self, model: str, recording: Path | bytes, **reading: Unpack[Reading]) -> Classification:
        """The labelled timeline of a file (docs/recordings.md); the model's champion unless said otherwise."""
        file = ("recording", recording) if isinstance(recording, bytes) else (recording.name, recording.read_bytes())
        return self._post(
            Classification,
            f"/v1/models/{quote(model, safe='')}/classify",
            lambda: {"files": {"file": file}},
            **reading,
        )

    def live(self, model: str, samples: Iterable[ArrayLike], **asked: Unpack[Asked]) -> Iterator[Told]:
        """Labels of a sensor's samples while it measures; `client.live` says what goes in and comes out."""
        return labels(self.transport, model, samples, asked)

    # --- Keys and usage -------------------------------------------------------------------------------------------

    def create_key(self, name: str, scopes: Iterable[str], *, expires_at: datetime | None = None) -> NewKey:
        """Make a key of one's own tenant; it is shown this once."""
        body = {"name": name, "scopes": list(scopes), "expires_at": expires_at and expires_at.isoformat()}
        return self._post(NewKey, "/v1/keys", lambda: {"json": body})

    def keys(self) -> Iterator[Key]:
        """The tenant's keys, newest first, those that hold no more too."""
        return self._pages("/v1/keys", Page[Key])

    def revoke_key(self, key_id: str) -> Key:
        """Let a key's bearer in no more."""
        return self._post(Key, f"/v1/keys/{quote(key_id, safe='')}/revoke")

    def usage(self) -> Usage:
        """How much the tenant has stored of what, and how much it may."""
        return self._get(Usage, "/v1/usage")

    # --- Webhooks -------------------------------------------------------------------------------------------------

    def add_webhook(self, url: str) -> Webhook:
        """Have a URL told of every job that ends; `secret`, for `client.webhooks.verify`, is not shown again."""
        return self._post(Webhook, "/v1/webhooks", lambda: {"json": {"url": url}})

    def webhooks(self) -> Iterator[Webhook]:
        """All webhooks, newest first."""
        return self._pages("/v1/webhooks", Page[Webhook])

    def deliveries(self, webhook_id: str) -> Iterator[Delivery]:
        """What became of a webhook's messages, newest first."""
        return self._pages(f"/v1/webhooks/{quote(webhook_id, safe='')}", Page[Delivery])

    def test_webhook(self, webhook_id: str, *, timeout_s: float = 30.0) -> Delivery:
        """Send a message that tells of nothing, and give its state after the first attempt.

        Raises:
            WaitedTooLong: none was made within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        sent = self._post(Delivery, f"/v1/webhooks/{quote(webhook_id, safe='')}/test")
        while sent.state == "waiting" and sent.status is None and sent.detail is None:
            if time.monotonic() > deadline:
                raise WaitedTooLong(f"nobody has sent the message within {timeout_s:g} s; does the keeper run?")
            time.sleep(LOOK_EVERY_S)
            sent = next(each for each in self.deliveries(webhook_id) if each.id == sent.id)
        return sent

    def remove_webhook(self, webhook_id: str) -> None:
        """Tell a URL nothing more."""
        self.transport.delete(f"/v1/webhooks/{quote(webhook_id, safe='')}")


def is_imported(dataset: Dataset, *, waited_s: float, most_s: float) -> bool:
    """Whether it is ready; raises as `Client.wait_for_dataset` does."""
    if dataset.state == "failed":
        raise ImportFailed(f"the import of {dataset.name!r} failed: {dataset.detail}")
    if dataset.state == "validating" and waited_s > most_s:
        raise WaitedTooLong(f"dataset {dataset.name!r} is still being imported after {most_s:g} s")
    return dataset.state != "validating"


def _plain(spec: JobSpec | SweepSpec | Mapping[str, Any]) -> Mapping[str, Any]:
    return spec if isinstance(spec, Mapping) else spec.model_dump(mode="json")
