"""What training costs beside its bare passes, and a graph network's step beside its plain formulation.

`make bench-training` prints a table. Each pair is timed in turn, in one process and thread, in time of the processor.
"""

import copy
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.table import in_turn, parser_of, publish, ratios, row
from pskd_core.config import JobSpec, parse_spec
from pskd_core.data.batches import prepare_clips
from pskd_core.data.columnar import Dataset
from pskd_core.data.importing import import_dataset
from pskd_core.data.splits import plan_folds
from pskd_core.data.synthetic import SyntheticSource
from pskd_core.losses import cross_entropy
from pskd_core.models.graph import adjacency
from pskd_core.models.skeleton import AdaptiveGcn
from pskd_core.training.loop import Trainer, train
from pskd_core.training.state import new_state
from tests.unit.models.plain_agcn import plain_agcn

# As in the recipe for two cores: slim teachers, a student of ordinary width, windows of the paper's length.
_SLIM = {"kind": "agcn", "width": 16, "depth": 8}
SPEC: dict[str, Any] = {
    "method": {
        "kind": "distill",
        "teachers": [
            {"name": "skeleton", "inputs": ["skeleton"], "backbone": _SLIM},
            {"name": "fusion", "inputs": ["skeleton", "accelerometer"], "backbone": _SLIM},
        ],
    },
    "student": {"inputs": ["accelerometer"], "backbone": {"kind": "resnet1d"}},
    "preprocess": {"skeleton_frames": 64, "sensor_frames": 128},
    "training": {"epochs": 1000, "batch_size": 16},
}
_FRAMES = 64


class Size(NamedTuple):
    """Of a graph network, and of the batch that it steps on."""

    width: int
    depth: int
    clips: int


# The slim teacher, and the paper's network on a small and a larger batch.
SIZES = (Size(16, 8, 32), Size(64, 10, 8), Size(64, 10, 16))


def rows(folder: Path, *, rounds: int, sizes: Iterable[Size], trials: int) -> list[dict[str, Any]]:
    """The figures. `sizes` are the graph network's, `trials` of each class and subject in the data."""
    dataset = _dataset(folder, trials=trials)
    stepped = chain.from_iterable(steps(dataset, size, rounds=rounds) for size in sizes)
    return [overhead(dataset, rounds=rounds), *stepped]


def _dataset(folder: Path, *, trials: int) -> Dataset:
    import_dataset(SyntheticSource(subjects=4, trials=trials), folder / "data")
    return Dataset.open(folder / "data")


# --- One round ----------------------------------------------------------------------------------------------------


def overhead(dataset: Dataset, *, rounds: int) -> dict[str, Any]:
    """An epoch of the teachers and one of the student, beside the passes through networks that they cannot spare."""
    spec = parse_spec(SPEC)
    (fold,) = plan_folds(spec, dataset.info, dataset.recordings)
    trainer = _trainer(dataset, spec, fold.train)
    course = train(trainer, on_step=lambda _: None)
    calls: dict[str, Callable[[], object]] = {
        "round": lambda: (next(course), next(course)),
        "bare": _bare_round(_trainer(dataset, spec, fold.train)),
    }
    took_s = in_turn(calls, rounds=rounds, repeats=1, warm=1, clock=time.process_time)
    return row("a progressive round ÷ its bare passes", ratios(took_s, "round", "bare"), at_most=1.15)


def _trainer(dataset: Dataset, spec: JobSpec, indices: tuple[int, ...]) -> Trainer:
    clips = prepare_clips(dataset, indices, spec)
    state = new_state(spec, dataset.info, seed=0, device=torch.device("cpu"))
    return Trainer(state, clips, spec, info=dataset.info, seed=0)


def _bare_round(trainer: Trainer) -> Callable[[], None]:
    """Of views made beforehand: teachers forward and back, forward again as guides, the student forward and back."""
    taught, guided = (list(trainer.batches(phase, 0)) for phase in ("teachers", "student"))
    teachers = [learner.network for learner in trainer.teachers.values()]
    student = trainer.state.student.network

    def passes() -> None:
        for batch in taught:
            for teacher in teachers:
                _forward_and_back(teacher.train(), batch.inputs, batch.labels)
        for batch in guided:
            with torch.no_grad():
                for teacher in teachers:
                    teacher.eval()(batch.inputs)
            _forward_and_back(student.train(), batch.inputs, batch.labels)

    return passes


def _forward_and_back(network: nn.Module, inputs: dict[str, Tensor], labels: Tensor) -> None:
    network.zero_grad(set_to_none=True)
    torch.autograd.backward(cross_entropy(network(inputs).logits, labels).mean())


# --- A graph network's step ---------------------------------------------------------------------------------------


def steps(dataset: Dataset, size: Size, *, rounds: int) -> Iterator[dict[str, Any]]:
    """Forward and back, ours ÷ the plain transcription on the same weights; bf16 where the processor computes in it."""
    skeleton = dataset.info.skeleton
    assert skeleton is not None
    torch.manual_seed(0)
    network = AdaptiveGcn(adjacency(skeleton), channels_in=3, width=size.width, depth=size.depth, temporal_kernel=9)
    plain, clips = copy.deepcopy(network), torch.randn(size.clips, 3, _FRAMES, len(skeleton.joints))
    expected = plain_agcn(plain, clips)
    if (network(clips) - expected).abs().max() > 1e-5 * expected.abs().max():
        raise RuntimeError("the two formulations disagree")

    def ours() -> Tensor:
        features: Tensor = network(clips)
        return features

    def plainly() -> Tensor:
        return plain_agcn(plain, clips)

    calls = {"ours": _step(network, ours), "plain": _step(plain, plainly)}
    if computes_bf16():
        calls |= {"ours, bf16": _step(network, ours, bf16=True), "plain, bf16": _step(plain, plainly, bf16=True)}
    took_s = in_turn(calls, rounds=rounds, repeats=1, warm=1, clock=time.process_time)
    named = f"step of a graph network (width {size.width}, {size.depth} blocks) on {size.clips} clips"
    yield row(f"{named} ÷ plain", ratios(took_s, "ours", "plain"), at_most=0.9)
    if computes_bf16():
        yield row(f"{named} in bf16 ÷ plain in fp32", ratios(took_s, "ours, bf16", "plain"), at_most=0.55)
        yield row(f"plain {named} in bf16 ÷ plain in fp32, to compare", ratios(took_s, "plain, bf16", "plain"))


def _step(network: nn.Module, forward: Callable[[], Tensor], *, bf16: bool = False) -> Callable[[], None]:
    def step() -> None:
        network.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            features = forward()
        torch.autograd.backward(features.float().square().mean())

    return step


def computes_bf16() -> bool:
    """Whether the processor has instructions for it; without them it is emulated, and slower than fp32."""
    able = torch.cpu.get_capabilities()
    return any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def main() -> None:
    """Print the table, and write it down."""
    options = parser_of("training", __doc__, rounds=12).parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="pskd-training-") as folder:
        found = rows(Path(folder), rounds=options.rounds, sizes=SIZES, trials=8)
    publish(options.out, "training", found, {"rounds": options.rounds})


if __name__ == "__main__":
    main()
