"""Every benchmark of the performance table, one after another, and their rows in one: `make bench`, about half an hour.

Each is a process of its own and writes a file of its own; `bench.json` has the rows of all. One that fails is named,
and the exit status is then 1. Whether a figure is reached changes no status: machines differ.
"""

import argparse
import json
import subprocess  # nosec B404 # our own programs, through no shell
import sys
from pathlib import Path

from benchmarks.table import publish

PARTS = ("training", "sweeps", "start", "serving", "peers", "batches", "long", "board", "submit")


def main() -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build"), help="folder for the results")
    out: Path = parser.parse_args().out
    rows, failed = [], []
    for part in PARTS:
        sys.stderr.write(f"{part} …\n")
        found = out / f"{part}.json"
        found.unlink(missing_ok=True)
        command = [sys.executable, "-m", f"benchmarks.{part}", "--out", str(out)]
        status = subprocess.run(command, check=False).returncode
        if not found.exists():
            failed.append(f"{part} ended with status {status}")
            continue
        told = json.loads(found.read_text(encoding="utf-8"))
        rows += [each | {"load_of_the_machine": told["load_of_the_machine"]} for each in told["rows"]]
    sys.stdout.write("\n")
    publish(out, "bench", rows, {"failed": failed})
    sys.stderr.writelines(f"{each}\n" for each in failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
