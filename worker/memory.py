"""Want of memory: whether the system has killed processes for it, which cannot say so themselves, and what helps."""

from pathlib import Path

ROOT = Path("/")
REMEDY = "lower training.batch_size or the networks' widths, or run it where there is more memory"  # for a run


def kills(root: Path = ROOT) -> int | None:
    """How many processes of this process's control group the kernel has killed for memory; null if it does not tell."""
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for group in groups:
        _, controllers, path = group.split(":", 2)
        found = _count(root / "sys/fs/cgroup", controllers, path)
        if found is not None:
            return found
    return None


def _count(mount: Path, controllers: str, path: str) -> int | None:
    """Version 2 has one tree, version 1 one for each controller; a container sees its own group at the top."""
    if controllers == "":
        top, file = mount, "memory.events"
    elif "memory" in controllers.split(","):
        top, file = mount / "memory", "memory.oom_control"
    else:
        return None
    for folder in (top / path.lstrip("/"), top):
        try:
            lines = (folder / file).read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        counts = dict(line.split(maxsplit=1) for line in lines if " " in line)
        if "oom_kill" in counts:
            return int(counts["oom_kill"])
    return None
