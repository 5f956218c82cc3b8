"""How a sweep is shown: its trials, its best, its heat map."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from client import output
from client.answers import HeatMap, Sweep
from client.sweep_output import (
    NothingBest,
    print_heat_map,
    print_sweep,
    score_text,
    short_names,
    value_text,
    write_best,
)

SPACE = {"method.loss.alpha": {"choices": [0, 1]}, "method.loss": {"choices": [{"kind": "st"}]}}


def trial(number: int, alpha: float, mean: float | None, **fields: Any) -> dict[str, Any]:
    return {
        "number": number,
        "parameters": {"method.loss.alpha": alpha, "method.loss": {"kind": "st"}},
        "job_id": f"job_{number}",
        "state": "succeeded" if mean is not None else "failed",
        "cause": None,
        "detail": None,
        "score": None if mean is None else {"mean": mean, "sd": 0.0123, "runs": 4},
        "cost": {"parameters": 12_345, "macs": 300, "seconds": 61.0},
        **fields,
    }


def make(*trials: dict[str, Any], best: bool = True) -> Sweep:
    winner = {**trials[1], "spec": {"name": "weights best", "seeds": [0]}} if best else None
    heat_map = {
        "x": "method.loss.alpha",
        "y": "method.loss",
        "x_values": [0, 1],
        "y_values": [{"kind": "st"}],
        "mean": [[0.5, None]],
        "best": [[0.5, None]],
    }
    return Sweep(
        id="swp_1",
        name="weights",
        state="succeeded",
        search="grid",
        metric="macro_f1",
        dataset_id="ds_1",
        counts={"total": len(trials), "to_come": 0, "states": {"succeeded": len(trials)}},
        created_at=datetime.now(UTC),
        finished_at=None,
        spec={"space": SPACE},
        trials=trials,
        best=winner,
        heat_map=heat_map,
    )


FAILED = trial(3, 1, None, cause="nan_loss", detail="nan at step 3")
SWEEP = make(trial(1, 0, 0.4), trial(2, 1, 0.5), FAILED)


def test_trials_are_shown_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Off a terminal the best trial is the first row, a failed one the last with its cause, and the winner is named."""
    output.stdout.cache_clear()
    print_sweep(SWEEP, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    output.stdout.cache_clear()
    assert lines[0] == "swp_1  weights  succeeded"
    assert lines[1].split() == ["TRIAL", "ALPHA", "LOSS", "STATE", "MACRO-F1", "PARAMETERS", "TOOK"]
    assert [line.split()[0] for line in lines[2:5]] == ["2", "1", "3"]
    assert "50.0 ± 1.2 %" in lines[2]
    assert lines[4].endswith("nan_loss: nan at step 3")
    assert lines[-2].split() == ["st", "50.0", "%", "–"]
    assert lines[-1] == "best: trial 2, macro-F1 50.0 ± 1.2 % on the validation part (4 runs)"


def test_a_terminal_gets_a_coloured_map() -> None:
    """On a terminal every measured cell has a colour between the worst and the best; what was not measured has none."""
    sink = io.StringIO()
    console = Console(file=sink, force_terminal=True, color_system="truecolor", width=120, highlight=False)
    heat_map = HeatMap(
        x="a", y="b", x_values=(0, 1, 2), y_values=("st", "at"), mean=((0.5, None, 0.7), (0.9, 0.6, 0.6)), best=()
    )
    print_heat_map(console, heat_map, {"a": "alpha", "b": "loss"}, "accuracy")
    rows = [line for line in sink.getvalue().splitlines() if "48;2;" in line]
    assert [row.count("48;2;") for row in rows] == [2, 3]
    assert "48;2;68;1;84" in rows[0]
    assert "48;2;122;209;81" in rows[1]
    assert "–" in rows[0]


def test_the_best_spec_is_written_as_it_can_be_submitted(tmp_path: Path) -> None:
    """The file holds the spec and nothing else; without a best trial there is none, and no file."""
    file = tmp_path / "best.yaml"
    with pytest.raises(NothingBest, match="swp_1"):
        write_best(make(FAILED, FAILED, best=False), file)
    assert not file.exists()
    write_best(SWEEP, file)
    assert yaml.safe_load(file.read_text()) == {"name": "weights best", "seeds": [0]}


def test_names_are_as_short_as_they_can_be() -> None:
    """The last part of a path names a parameter unless two share it."""
    paths = ["method.loss.alpha", "training.student.learning_rate", "training.teacher.learning_rate"]
    assert list(short_names(paths).values()) == ["alpha", *paths[1:]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"kind": "st"}, "st"),
        ({"kind": "pskd", "gamma": 0, "feature": {"gated": True}}, 'pskd(gamma=0, feature={"gated": true})'),
        (0.000123456, "0.0001235"),
        (3, "3"),
        (True, "true"),
        (None, "null"),
        ("bf16", "bf16"),
        (["accelerometer"], '["accelerometer"]'),
    ],
)
def test_values_are_written_in_few_letters(value: Any, text: str) -> None:
    """An object by its kind, a number by four digits, anything else as JSON."""
    assert value_text(value) == text


def test_one_run_has_no_spread() -> None:
    """A standard deviation is shown where there is one."""
    score = make(trial(1, 0, 0.4), trial(2, 1, 0.5)).trials[0].score
    assert score is not None
    assert score_text(score) == "40.0 ± 1.2 %"
    assert score_text(score.model_copy(update={"sd": None})) == "40.0 %"
