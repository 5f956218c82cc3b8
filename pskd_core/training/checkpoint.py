"""Checkpoints at epoch boundaries: `tensors.safetensors`, `snapshot-*.safetensors`, `state.json`; nothing pickled.

A snapshot of the teachers never changes and has a file of its own, so that a store by content keeps it once. Random
numbers are functions of (seed, name, step), so no generator state has to be kept. A checkpoint folder appears whole or
not at all.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pskd_core.errors import CheckpointError
from pskd_core.files import atomic_directory
from pskd_core.training.state import Learner, TrainingState

FORMAT = 1


def save_checkpoint(directory: Path, state: TrainingState, identity: dict[str, Any], *, owner: str) -> None:
    """Write `directory` (which must not exist).

    `identity` says what was trained, and whatever resumes must be the same. `owner` names whose checkpoint it is and
    stands in every file, so that in a store by content no two owners share an object, and each may delete its own.
    """
    steps = {name: learner.steps for name, learner in state.learners.items()}
    sidecar = {"format": FORMAT, "identity": identity, "owner": owner, "epoch": state.epoch, "steps": steps}
    sidecar["snapshots"] = sorted(state.snapshots)
    with atomic_directory(directory) as partial:
        save_file(_tensors(state), partial / "tensors.safetensors", metadata={"owner": owner})
        for number, snapshot in state.snapshots.items():
            save_file(snapshot, partial / _snapshot_file(number), metadata={"owner": owner})
        (partial / "state.json").write_text(json.dumps(sidecar, sort_keys=True), encoding="utf-8")


def load_checkpoint(directory: Path, state: TrainingState, identity: dict[str, Any]) -> None:
    """Put a checkpoint's content into a freshly built `state`.

    Raises:
        CheckpointError: the folder is damaged, of another format, or of another run.
    """
    try:
        sidecar = json.loads((directory / "state.json").read_text(encoding="utf-8"))
        tensors = load_file(directory / "tensors.safetensors")
        snapshots = {number: load_file(directory / _snapshot_file(number)) for number in sidecar.get("snapshots", [])}
    except (OSError, ValueError, SafetensorError) as damaged:
        raise CheckpointError(f"checkpoint {directory.name} cannot be read: {damaged}") from damaged
    if sidecar["format"] != FORMAT:
        raise CheckpointError(f"checkpoint format {sidecar['format']} is not {FORMAT}; start the run afresh")
    if sidecar["identity"] != identity:
        raise CheckpointError("the checkpoint belongs to another configuration, dataset, fold or seed")
    try:
        for name, learner in state.learners.items():
            _restore(learner, f"{name}/", tensors)
            learner.steps = sidecar["steps"][name]
        if state.averaged is not None:
            state.averaged.load_state_dict(_under("averaged/", tensors))
    except (KeyError, RuntimeError) as other:
        raise CheckpointError(f"checkpoint {directory.name} does not fit the networks: {other}") from other
    state.epoch, state.snapshots = sidecar["epoch"], snapshots


def _snapshot_file(number: int) -> str:
    return f"snapshot-{number:04d}.safetensors"


def _tensors(state: TrainingState) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for name, learner in state.learners.items():
        tensors |= {f"{name}/network/{key}": value for key, value in learner.network.state_dict().items()}
        tensors |= {f"{name}/regressors/{key}": value for key, value in learner.regressors.state_dict().items()}
        for index, moments in learner.optimiser.state_dict()["state"].items():
            tensors |= {f"{name}/optimiser/{index}/{key}": value for key, value in moments.items()}
    if state.averaged is not None:
        tensors |= {f"averaged/{key}": value for key, value in state.averaged.state_dict().items()}
    return {key: value.detach().contiguous() for key, value in tensors.items()}


def _restore(learner: Learner, prefix: str, tensors: dict[str, torch.Tensor]) -> None:
    learner.network.load_state_dict(_under(f"{prefix}network/", tensors))
    learner.regressors.load_state_dict(_under(f"{prefix}regressors/", tensors))
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in _under(f"{prefix}optimiser/", tensors).items():
        index, name = key.split("/")
        moments.setdefault(int(index), {})[name] = value
    groups = learner.optimiser.state_dict()["param_groups"]
    learner.optimiser.load_state_dict({"state": moments, "param_groups": groups})


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
