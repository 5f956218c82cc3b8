"""One run from spec to bundle, and the command line over it, on a small synthetic dataset."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml

from pskd_core.__main__ import main
from pskd_core.bundle import BundleInfo, Calibration
from pskd_core.config import JobSpec, parse_spec
from pskd_core.data.columnar import Dataset
from pskd_core.data.preprocess import prepare_sensor
from pskd_core.data.splits import plan_folds
from pskd_core.evaluation.calibration import fit_temperature
from pskd_core.evaluation.metrics import summarise
from pskd_core.run import Run
from pskd_core.training.meter import EpochReport
from tests.small import SMALL_SPEC, small_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("data") / "dataset")


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    file = tmp_path / "spec.yaml"
    spec = {**SMALL_SPEC, "training": {"epochs": 2, "batch_size": 16}}
    file.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return file


def spec_with(**fields: Any) -> JobSpec:
    return parse_spec({**SMALL_SPEC, **fields})


def finished_run(dataset: Dataset, spec: JobSpec, *, fold: int = 0, seed: int = 0) -> Run:
    run = Run(dataset, spec, plan_folds(spec, dataset.info, dataset.recordings)[fold], seed)
    list(run.epochs())
    return run


def test_a_bundle_gives_the_probabilities_of_the_offline_evaluation(dataset: Dataset, tmp_path: Path) -> None:
    """The exported graph, fed with served windows of test recordings, repeats the stored logits to 1e-5."""
    run = finished_run(dataset, spec_with())
    info = run.export(tmp_path / "bundle")
    run.save_predictions(tmp_path / "predictions.npz")
    assert info == BundleInfo.read(tmp_path / "bundle")
    session = onnxruntime.InferenceSession(tmp_path / "bundle" / "model.onnx")
    windows = np.stack([prepare_sensor(dataset.stream("accelerometer", row), info.frames) for row in run.fold.test])
    (logits,) = session.run(["logits"], {"windows": windows})
    stored = np.load(tmp_path / "predictions.npz")
    assert np.abs(logits - stored["test_logits"]).max() < 1e-5
    assert stored["test_ids"].tolist() == [dataset.recordings[row].id for row in run.fold.test]
    assert stored["test_subjects"].tolist() == [dataset.recordings[row].subject for row in run.fold.test]
    assert info.test is not None
    assert info.test.accuracy == float((logits.argmax(1) == stored["test_labels"]).mean())
    assert info.gravity


def test_a_bundle_is_calibrated_on_validation(dataset: Dataset, tmp_path: Path) -> None:
    """Temperature, thresholds and errors come from the validation part, and the graph's distance is the one meant."""
    run = finished_run(dataset, spec_with(validation={"kind": "trials", "trials": ["2"]}))
    info, outcome = run.export(tmp_path / "bundle"), run.finish()
    assert info is not None
    found = info.calibration
    assert found is not None
    assert found == outcome.calibration
    assert outcome.validation is not None
    assert outcome.test is not None
    assert (found.validation.n, found.validation.ece_before) == (outcome.validation.n, outcome.validation.ece)
    assert found.test is not None
    assert (found.test.n, found.test.ece_before) == (outcome.test.n, outcome.test.ece)
    session = onnxruntime.InferenceSession(tmp_path / "bundle" / "model.onnx")
    rows = run.fold.validation
    windows = np.stack([prepare_sensor(dataset.stream("accelerometer", row), info.frames) for row in rows])
    logits, distance = session.run(["logits", "distance"], {"windows": windows})
    right = logits.argmax(axis=1) == [dataset.recordings[row].label for row in rows]
    assert found.max_distance == pytest.approx(distance[right].max(), rel=1e-3)
    assert found.temperature == pytest.approx(
        fit_temperature(logits, np.array([dataset.recordings[row].label for row in rows])), rel=1e-3
    )


def test_a_refit_is_calibrated_on_what_its_inner_folds_held_out(spec_file: Path, tmp_path: Path) -> None:
    """The temperature of a student trained on everybody is that of the out-of-fold logits, in outcome and bundle."""
    spec = yaml.safe_load(spec_file.read_text(encoding="utf-8"))
    protocol = {"kind": "subjects", "train": ["1", "2", "3"], "test": ["4"]}
    spec |= {"protocol": protocol, "validation": {"kind": "inner_loso"}, "method": {"kind": "none"}}
    spec_file.write_text(yaml.safe_dump(spec), encoding="utf-8")
    assert main(["train", str(spec_file), "--out", str(tmp_path / "out")]) == 0
    runs = tmp_path / "out" / "runs"
    outcome = json.loads((runs / "refit-seed0" / "outcome.json").read_text(encoding="utf-8"))
    inner = [np.load(runs / f"inner-{subject}-seed0" / "predictions.npz") for subject in "123"]
    logits, labels = (np.concatenate([each[f"validation_{name}"] for each in inner]) for name in ("logits", "labels"))
    found = outcome["calibration"]
    assert outcome["validation"] is None
    assert found["temperature"] == fit_temperature(logits, labels)
    assert found["validation"]["n"] == len(labels) == outcome["train_n"]
    assert BundleInfo.read(runs / "refit-seed0" / "bundle").calibration == Calibration.model_validate(found)
    assert "inner folds" not in json.loads((runs / "inner-1-seed0" / "outcome.json").read_text())["calibration"]["rule"]


def test_without_validation_nothing_is_calibrated(dataset: Dataset, tmp_path: Path) -> None:
    """Neither the training nor the test part may choose a temperature."""
    run = finished_run(dataset, spec_with(training={"epochs": 1}))
    info = run.export(tmp_path / "bundle")
    assert info is not None
    assert info.calibration is None
    assert run.finish().calibration is None


def test_a_student_that_reads_the_skeleton_is_not_exported(dataset: Dataset, tmp_path: Path) -> None:
    """A skeleton network is evaluated like any other but leaves no bundle that a wearable could use."""
    backbone = {"kind": "agcn", "width": 4, "depth": 3}
    spec = spec_with(method={"kind": "none"}, student={"inputs": ["skeleton"], "backbone": backbone})
    run = finished_run(dataset, spec)
    assert run.finish().test is not None
    assert run.export(tmp_path / "bundle") is None
    assert not (tmp_path / "bundle").exists()


def test_validation_is_scored_beside_the_test(dataset: Dataset) -> None:
    """A validation subject is held out of training, followed through the epochs and scored at the end."""
    spec = spec_with(validation={"kind": "subjects", "subjects": ["1"]})
    run = Run(dataset, spec, plan_folds(spec, dataset.info, dataset.recordings)[0], 0)
    reports = list(run.epochs())
    assert all(("validation/accuracy" in report.metrics) == (report.phase == "student") for report in reports)
    outcome = run.finish()
    assert outcome.validation is not None
    assert list(outcome.validation.per_subject) == ["1"]
    assert outcome.test is not None
    assert "1" not in outcome.test.per_subject
    assert outcome.teachers["fusion"].validation is not None


def test_loso_pools_its_folds(dataset: Dataset) -> None:
    """The summary counts every recording once, whatever fold it was tested in."""
    spec = spec_with(protocol={"kind": "loso"}, training={"epochs": 1, "batch_size": 16})
    folds = plan_folds(spec, dataset.info, dataset.recordings)
    outcomes = [finished_run(dataset, spec, fold=index).finish() for index in range(len(folds))]
    summary = summarise(outcomes, folds=folds).test
    assert summary is not None
    assert summary.complete
    assert summary.n == len(dataset.recordings)
    correct = sum(outcome.test.accuracy * outcome.test.n for outcome in outcomes if outcome.test)
    assert summary.accuracy.mean == pytest.approx(correct / len(dataset.recordings))


def test_the_command_line_repeats_to_the_bit(spec_file: Path, tmp_path: Path) -> None:
    """Equal commands write equal `result.json` files, with the override of every option in them.

    So does one that leaves its teachers' answers in a folder, and one that finds them there.
    """
    command = ["train", str(spec_file), "--protocol", "cross_trial", "--seeds", "0,1"]
    kept = ["--teachers", str(tmp_path / "teachers")]
    for out, more in {"one": [], "two": [], "leaving": kept, "reading": kept}.items():
        assert main([*command, *more, "--out", str(tmp_path / out)]) == 0
    first = (tmp_path / "one" / "result.json").read_text(encoding="utf-8")
    for out in ("two", "leaving", "reading"):
        assert (tmp_path / out / "result.json").read_text(encoding="utf-8") == first
    assert len(list((tmp_path / "teachers").iterdir())) == 2
    result = json.loads(first)
    assert [(run["seed"], run["fold"]) for run in result["runs"]] == [(0, "all"), (1, "all")]
    assert 0 <= result["summary"]["test"]["accuracy"]["mean"] <= 1
    assert result["spec"]["protocol"] == {"kind": "named", "name": "cross_trial"}
    assert result["runs"][0]["teachers"].keys() == {"skeleton", "fusion"}


def test_an_interrupted_command_goes_on_from_its_checkpoint(
    spec_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in mid-run, then the same command: it goes on after the last epoch saved and ends as if unbroken."""
    monkeypatch.setattr("pskd_core.folder.CHECKPOINT_EVERY_S", 0.0)
    epochs, finish = Run.epochs, tmp_path / "broken" / "result.json"
    done: list[int] = []

    def interrupted(run: Run, on_step: Callable[[int], None] | None = None) -> Iterator[EpochReport]:
        for report in epochs(run, on_step):
            done.append(report.index)
            yield report
            if done == [0, 1, 2]:
                raise KeyboardInterrupt

    monkeypatch.setattr(Run, "epochs", interrupted)
    command = ["train", str(spec_file), "--out"]
    assert main([*command, str(tmp_path / "broken")]) == 130
    assert not finish.exists()
    with (tmp_path / "broken" / "runs" / "all-seed0" / "epochs.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"phase": "stud')  # as `kill -9` may leave it
    leftover = tmp_path / "broken" / "runs" / "all-seed0" / ".checkpoint-00004.0.partial"
    leftover.mkdir()
    assert main([*command, str(tmp_path / "broken")]) == 0
    assert done == [0, 1, 2, 3]
    assert not leftover.exists()
    assert main([*command, str(tmp_path / "unbroken")]) == 0
    assert finish.read_bytes() == (tmp_path / "unbroken" / "result.json").read_bytes()
    assert logged_epochs(tmp_path / "broken") == logged_epochs(tmp_path / "unbroken")


def logged_epochs(out: Path) -> list[tuple[str, dict[str, float]]]:
    """What the log of the only run says of each epoch, but for the time."""
    lines = (out / "runs" / "all-seed0" / "epochs.jsonl").read_text(encoding="utf-8").splitlines()
    return [(entry["phase"], entry["metrics"]) for entry in map(json.loads, lines)]


def test_the_command_line_refuses_what_it_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong field, a missing dataset and a folder of another spec end with status 1 and a message, not a trace."""
    file = tmp_path / "spec.yaml"
    file.write_text("training: {epochs: none}\n", encoding="utf-8")
    assert main(["train", str(file), "--out", str(tmp_path / "out")]) == 1
    assert "/training/epochs" in capsys.readouterr().err
    assert main(["train", "--preset", "demo", "--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 1
    assert "nowhere" in capsys.readouterr().err
    (tmp_path / "out").mkdir(exist_ok=True)
    (tmp_path / "out" / "identity.json").write_text('{"configuration": "another"}', encoding="utf-8")
    assert main(["train", "--preset", "demo", "--out", str(tmp_path / "out")]) == 1
    assert "another spec" in capsys.readouterr().err
