"""Which GPUs a worker has, and which of them each of its runs sees."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

VISIBLE = "CUDA_VISIBLE_DEVICES"
_FILE = re.compile(r"nvidia(\d+)")


def visible(environment: Mapping[str, str], dev: Path = Path("/dev")) -> tuple[str, ...]:
    """The devices that the operator names in CUDA_VISIBLE_DEVICES, else those that the system has.

    CUDA is not asked: whoever asks it holds memory on a device from then on.
    """
    if (named := environment.get(VISIBLE)) is not None:
        return tuple(filter(None, (part.strip() for part in named.split(","))))
    found = (_FILE.fullmatch(file.name) for file in dev.glob("nvidia*"))
    return tuple(sorted((match[1] for match in found if match), key=int))


class Shares:
    """The devices of a worker, dealt out to its slots; a worker without any leaves to its runs what they find.

    Raises:
        ValueError: there are fewer devices than slots.
    """

    def __init__(self, devices: Sequence[str], *, slots: int) -> None:
        if 0 < len(devices) < slots:
            raise ValueError(
                f"{slots} runs at once need as many GPUs, and {VISIBLE} has {', '.join(devices)}; lower "
                "PSKD_RUNS_AT_ONCE"
            )
        self.devices = tuple(devices)
        self._free: SimpleQueue[tuple[str, ...]] = SimpleQueue()
        for slot in range(slots):
            self._free.put(self.devices[slot::slots])

    @contextmanager
    def share(self) -> Iterator[tuple[str, ...]]:
        """The devices of a free slot, kept from others until the block ends."""
        mine = self._free.get()
        try:
            yield mine
        finally:
            self._free.put(mine)


def restrict(devices: Sequence[str]) -> None:
    """This process, which has not touched CUDA, sees these devices alone."""
    if devices:
        os.environ[VISIBLE] = ",".join(devices)
