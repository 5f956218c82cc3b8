"""What a run's process loads until its first step; it imports nothing itself, so what is there came from the server."""

import sys
from pathlib import Path


def note_modules(folder: Path) -> None:
    """Take the first step of a small run, and write down which modules were loaded for it."""
    before = set(sys.modules)
    from pskd_core.config import parse_spec  # noqa: PLC0415
    from pskd_core.data.columnar import Dataset  # noqa: PLC0415
    from pskd_core.data.splits import plan_folds  # noqa: PLC0415
    from pskd_core.run import Run  # noqa: PLC0415

    split = {"kind": "subjects", "train": ["1", "2", "3"], "test": ["4"]}
    spec = parse_spec({"preset": "demo", "dataset": "made", "protocol": split, "seeds": [0]})
    dataset = Dataset.open(folder / "data")
    run = Run(dataset, spec, plan_folds(spec, dataset.info, dataset.recordings)[0], 0)

    def on_step(_steps: int) -> None:
        (folder / "before").write_text("\n".join(before))
        (folder / "loaded").write_text("\n".join(set(sys.modules) - before))
        sys.exit(0)

    for _ in run.epochs(on_step):
        pass
