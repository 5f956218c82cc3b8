"""The harnesses of benchmarks, on little."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import batches, board, start, sweeps, training
from benchmarks.large import _bytes_below, _stage, measure
from benchmarks.peers import __main__ as peers


def test_it_measures_a_whole_import_and_an_epoch(tmp_path: Path) -> None:
    """Every clip arrives, some are tested, all figures are there, and 2 GB are far away."""
    found = measure(140, tmp_path)
    assert 0 < found["test_n"] < 140
    assert 0.9 < found["imported_bytes"] / found["given_bytes"] < 1.1
    assert all(found[f"{stage}_s"] > 0 for stage in ("import", "train", "epoch"))
    assert max(found["import_peak_bytes"], found["train_peak_bytes"]) < 1e9


def test_an_import_holds_no_samples(tmp_path: Path) -> None:
    """1,860 clips more cost it less memory than a fifth of their samples: one recording is read at a time."""
    peaks, given = [], []
    for clips in (140, 2000):
        folder = tmp_path / str(clips)
        _stage("write", str(folder), str(clips))
        given.append(_bytes_below(folder))
        peaks.append(_stage("import", str(folder), str(tmp_path / f"kept{clips}"))[1])
    assert peaks[1] - peaks[0] < (given[1] - given[0]) / 5


def test_a_start_is_taken_apart(tmp_path: Path) -> None:
    """From the request to the first step no part is missing and none negative, but for what clocks round away."""
    found = start.measure(tmp_path, "sqlite", count=1)
    assert list(found["median_of_part_s"]) == list(start.PARTS)
    assert all(seconds > -0.01 for seconds in found["median_of_part_s"].values())
    assert sum(found["median_of_part_s"].values()) == pytest.approx(found["median_s"], abs=0.01)


def test_training_is_measured_beside_its_bare_passes(tmp_path: Path) -> None:
    """Each ratio is there, of two formulations that agree."""
    found = training.rows(tmp_path, rounds=1, sizes=[training.Size(4, 3, 8)], trials=2)
    assert [each["reach"] for each in found][:2] == ["≤ 1.15", "≤ 0.9"]
    assert len(found) == (4 if training.computes_bf16() else 2)
    assert all(each["value"] > 0 for each in found)


def test_batches_are_measured_beside_the_bare_model(tmp_path: Path) -> None:
    """A ratio for each kind of student and each way to ask it."""
    found = batches.rows(tmp_path, minutes=1, rounds=1)
    assert len(found) == 3 * 3
    assert all(each["value"] > 0 for each in found)


def test_a_leaderboard_of_copies_is_asked_for_every_kind_of_page(tmp_path: Path) -> None:
    """The copies are valid rows to a real API, and a longer page makes no further query."""
    found = board.measure(tmp_path, "sqlite", runs_wanted=1_500, rounds=1)
    sorts, others = {"-macro_f1", "parameters", "latency_ms"}, {"long", "of a rare dataset", "filtered", "against"}
    assert set(found["ms"]) == {"best", "deep"} | sorts | others
    first, *rest = board.rows({"sqlite": found}, runs_wanted=1_500)
    assert first["value"] > 0
    assert [each["ok"] for each in rest] == [True]


def test_a_sweep_is_timed_from_the_first_claim(tmp_path: Path) -> None:
    """Two trials by one worker, from rows alone."""
    assert sweeps.sweep_s(tmp_path, workers=1, trials=2, epochs=1) > 0


_PLAIN = """
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        windows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["windows"]
        found = session.run(["probabilities"], {"windows": np.array(windows, np.float32)})[0] + float(sys.argv[3])
        body = json.dumps({"probabilities": found.tolist()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = lambda self: self.send_error(404)
HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


def _plain(shift: str) -> peers.Peer:
    """A server on the standard library, whose probabilities are off by so much."""
    return peers.Peer((), lambda python, model, port: [python, "-c", _PLAIN, model, port, shift], "/", "windows")


def test_a_peer_is_measured_or_named_with_the_reason(tmp_path: Path) -> None:
    """One that answers as the model does has a row; one that ends, judges otherwise or cannot be installed has none."""
    ends = peers.Peer((), lambda python, *_: [python, "-c", "raise SystemExit('no such option')"], "/", "windows")
    given = {"plain": _plain("0"), "ends": ends, "other": _plain("0.5"), "absent": _plain("0")}

    def python_of(name: str, _: peers.Peer) -> str:
        if name == "absent":
            raise subprocess.CalledProcessError(1, "pip", stderr="no matching distribution")
        return sys.executable

    found = peers.measure(tmp_path, rounds=1, python_of=python_of, peers=given)
    assert [each["name"].rpartition("of ")[2] for each in found["rows"]] == ["plain", "plain, V2 in JSON"]
    assert all(each["value"] > 0 for each in found["rows"])
    assert list(found["failed"]) == ["ends", "other", "absent"]
    for name, reason in {"ends": "no such option", "other": "another model", "absent": "no matching"}.items():
        assert reason in found["failed"][name]
