"""What workers would do to the store, without workers; and a tiny real model for them to register."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from pskd_core.bundle import MODEL_FILE, BundleInfo, Durations, Figures
from pskd_core.config import JobSpec, parse_spec
from pskd_core.data.columnar import Dataset
from pskd_core.data.importing import ImportReport, import_dataset
from pskd_core.data.splits import plan_folds
from pskd_core.data.synthetic import SyntheticSource
from pskd_core.evaluation.metrics import scores
from store import datasets, jobs, runs
from store.claims import Claim
from store.engine import Database
from store.jobs import PlannedFold
from store.lifecycle import FailureCause
from store.objects import ObjectStore
from store.runs import ClaimedRun, Finish
from store.seedstats import Tested
from store.settings import Settings

CLASSES = ("along_x", "along_y", "along_z")
FRAMES = 32
PREDICTIONS = b"what a run has predicted"
DATASET_BYTES, BUNDLE_BYTES = 40_000, 1000  # as rows have it
SPEC: dict[str, Any] = {"name": "tiny", "dataset": "tiny", "method": {"kind": "none"}, "training": {"epochs": 2}}


@dataclass(frozen=True)
class Trees:
    """What workers have put into the object store."""

    url: str
    dataset: Path  # four subjects, two trials, three classes
    dataset_digest: str
    bundle_digest: str
    report: ImportReport


def write_trees(folder: Path, bundle: Path) -> Trees:
    """An object store below `folder`, with a dataset and a bundle."""
    dataset, url = folder / "dataset", str(folder / "objects")
    report = import_dataset(SyntheticSource(subjects=4, trials=2, classes=3), dataset)
    objects = ObjectStore(url, cache_dir=folder / "cache")
    return Trees(url, dataset, objects.put_tree(dataset), objects.put_tree(bundle), report)


COSTS = {"parameters": 12, "macs": 300}


class Stored:
    """A dataset, jobs and runs, put where workers would put them."""

    def __init__(self, settings: Settings, trees: Trees) -> None:
        self.database = Database(settings.database_url)
        self.objects = ObjectStore(settings.object_store_url, cache_dir=settings.cache_dir)
        self._trees = trees
        self._files = Dataset.open(trees.dataset)

    def dataset(self, name: str = "tiny", **told: Any) -> str:
        """A ready dataset, whose import told this besides, such as another layout; answers its id."""
        with self.database.write() as session:
            dataset_id = datasets.create(session, name=name, source={"kind": "synthetic"}).id
        self.finish_import(**told)
        return dataset_id

    def finish_import(self, **told: Any) -> None:
        """Import whatever waits longest, as a worker would."""
        with self.database.write() as session:
            claimed = datasets.claim_import(session, worker="w", lease_s=60)
            assert claimed is not None
            row = datasets.finish_import(
                session,
                claimed.claim,
                report=self._trees.report.model_dump(mode="json") | told,
                content_digest=self._trees.report.digest,
                tree_digest=self._trees.dataset_digest,
                tree_bytes=DATASET_BYTES,
            )
            for job in jobs.waiting(session, row.id):
                jobs.expand(session, job, self._plan(parse_spec(job.spec)))

    def fail_import(self, detail: str) -> None:
        """Fail whatever import waits longest."""
        with self.database.write() as session:
            claimed = datasets.claim_import(session, worker="w", lease_s=60)
            assert claimed is not None
            datasets.fail_import(session, claimed.claim, cause=FailureCause.DATA, detail=detail)

    def claim(self) -> ClaimedRun:
        """Start the next run."""
        with self.database.write() as session:
            claimed = runs.claim_next(session, worker="w", lease_s=60, device="cpu")
        assert claimed is not None
        return claimed

    def train(self, claimed: ClaimedRun) -> None:
        """Two epochs."""
        for epoch in range(2):
            with self.database.write() as session:
                metrics = {"student/total": 1.0 / (epoch + 1), "student/ce": 0.5}
                runs.record_epoch(
                    session,
                    claimed.claim,
                    epoch=epoch,
                    epochs=2,
                    phase="student",
                    metrics=metrics,
                    by_class={"student/follows/a/1": epoch / 4},
                )

    def succeed(self, claimed: ClaimedRun, *, accuracy: float = 0.75, said: Sequence[int] | None = None) -> None:
        """End a run well, with a real bundle; with `said`, classes of its test recordings, also with predictions."""
        finish = Finish(
            result={"test": {"accuracy": accuracy, "macro_f1": accuracy, "n": 12}, **COSTS},
            report={"classes": list(CLASSES), "test": {"confusion": [[4, 0, 0], [0, 4, 0], [0, 3, 1]]}},
            test=Tested(accuracy, accuracy, 12, [[4, 0, 0], [0, 4, 0], [0, 3, 1]], ece=accuracy / 4),
            predictions_digest=self.objects.put_bytes(PREDICTIONS),
            predictions_bytes=len(PREDICTIONS),
            bundle_digest=self._trees.bundle_digest,
            bundle_bytes=BUNDLE_BYTES,
            latency_ms=0.25,
            register=True,
        )
        if said is not None:
            finish = replace(finish, **self._judged(claimed, said))
        with self.database.write() as session:
            runs.succeed(session, claimed.claim, finish)

    def validate(self, claimed: ClaimedRun, *, accuracy: float) -> None:
        """End a run well that has a validation part and no test."""
        result = {"validation": {"accuracy": accuracy, "macro_f1": accuracy, "n": 6}, **COSTS}
        finish = Finish(result, {}, None, None, None, None, None, register=False)
        with self.database.write() as session:
            runs.succeed(session, claimed.claim, finish)

    def _judged(self, claimed: ClaimedRun, said: Sequence[int]) -> dict[str, Any]:
        """Scores and stored predictions of a student that says these classes."""
        fold = plan_folds(claimed.spec, self._files.info, self._files.recordings)[claimed.fold_index]
        tested = [self._files.recordings[row] for row in fold.test]
        labels, logits = np.array([meta.label for meta in tested]), np.eye(3, dtype=np.float32)[list(said)]
        subjects = [meta.subject for meta in tested]
        told = scores(logits, labels, subjects)
        file = io.BytesIO()
        ids = np.array([meta.id for meta in tested])
        np.savez(file, test_ids=ids, test_subjects=np.array(subjects), test_labels=labels, test_logits=logits)
        by_subject = {name: (round(each.accuracy * each.n), each.n) for name, each in told.per_subject.items()}
        return {
            "test": Tested(told.accuracy, told.macro_f1, told.n, told.confusion, by_subject),
            "predictions_digest": self.objects.put_bytes(file.getvalue()),
            "predictions_bytes": len(file.getvalue()),
        }

    def truth(self) -> list[int]:
        """The classes of the recordings that `cross_subject` tests."""
        spec = parse_spec(SPEC)
        (fold,) = plan_folds(spec, self._files.info, self._files.recordings)
        return [self._files.recordings[row].label for row in fold.test]

    def judged_job(self, said: Mapping[int, Sequence[int]], **fields: Any) -> None:
        """A job whose student says, with each seed, these classes of the test recordings."""
        self.job(seeds=list(said), **fields)
        for classes in said.values():
            self.succeed(self.claim(), said=classes)

    def fail(self, claim: Claim, detail: str) -> None:
        """End a run badly."""
        with self.database.write() as session:
            runs.fail(session, claim, cause=FailureCause.NAN_LOSS, detail=detail)

    def job(self, **fields: Any) -> str:
        """A job on the dataset `tiny`; answers its id."""
        spec = parse_spec(SPEC | fields)
        with self.database.write() as session:
            return jobs.submit(session, spec, plan=lambda _dataset: self._plan(spec)).id

    def finished_job(self, *, accuracy: float = 0.75, **fields: Any) -> str:
        """A job whose runs have all succeeded; answers its id."""
        job_id = self.job(**fields)
        with self.database.read() as session:
            count = len(jobs.runs_of(session, [job_id]))
        for _ in range(count):
            claimed = self.claim()
            self.train(claimed)
            self.succeed(claimed, accuracy=accuracy)
        return job_id

    def _plan(self, spec: JobSpec) -> list[PlannedFold]:
        folds = plan_folds(spec, self._files.info, self._files.recordings)
        return [PlannedFold(fold.name, n_test=len(fold.test)) for fold in folds]


def write_tiny_bundle(folder: Path) -> None:
    """A model whose logits are ten times the mean of each axis, in g."""
    windows = helper.make_tensor_value_info("windows", TensorProto.FLOAT, ["n", 3, FRAMES])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("logits", "probabilities")]
    axes = numpy_helper.from_array(np.array([2], np.int64), "axes")
    scale = numpy_helper.from_array(np.array(10, np.float32), "scale")
    nodes = [
        helper.make_node("ReduceMean", ["windows", "axes"], ["means"], keepdims=0),
        helper.make_node("Mul", ["means", "scale"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(nodes, "tiny", [windows], outputs, [axes, scale])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / MODEL_FILE)
    save_file({"scale": np.array([10], np.float32)}, folder / "weights.safetensors")
    _info().write(folder)


def _info() -> BundleInfo:
    return BundleInfo(
        classes=CLASSES,
        inputs=("accelerometer",),
        frames=FRAMES,
        durations_s=Durations(min=1.0, median=2.0, max=4.0),
        gravity=True,
        dataset="tiny",
        dataset_digest="0" * 64,
        protocol={"kind": "named", "name": "cross_subject"},
        spec={},
        seed=0,
        fold="all",
        test=Figures(accuracy=0.75, macro_f1=0.75, n=12),
        parameters=12,
        macs=300,
        opset=20,
        created_by="a test",
    )
