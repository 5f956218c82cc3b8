"""What a supervisor and its child share: numbers in shared memory, without locks that a killed process could keep."""

import ctypes
import time
from enum import IntEnum
from multiprocessing.context import ForkServerContext


class Stop(IntEnum):
    """What the supervisor asks of its child."""

    NO = 0
    AT_EPOCH = 1  # end at the next epoch boundary, with a checkpoint
    NOW = 2  # end at the next step


class _Shared(ctypes.Structure):
    _fields_ = (("beats", ctypes.c_uint64), ("stop", ctypes.c_int), ("lease_end_s", ctypes.c_double))


class Link:
    """Signs of life one way, the wish to stop and the lease's end the other way; made by the supervisor.

    Times are of the monotonic clock, which the processes of a machine share.
    """

    def __init__(self, context: ForkServerContext, *, lease_end_s: float) -> None:
        self._shared = context.RawValue(_Shared, 0, Stop.NO, lease_end_s)

    def beat(self) -> None:
        """The child has made a step."""
        self._shared.beats += 1

    @property
    def beats(self) -> int:
        """Signs of life so far."""
        return int(self._shared.beats)

    @property
    def stop(self) -> Stop:
        """What the supervisor asks for."""
        return Stop(self._shared.stop)

    def ask(self, stop: Stop) -> None:
        """Ask the child to stop."""
        self._shared.stop = stop

    def prolong(self, lease_end_s: float) -> None:
        """The lease now lasts until then."""
        self._shared.lease_end_s = lease_end_s

    @property
    def lease_left_s(self) -> float:
        """Time until the lease ends; negative afterwards."""
        return float(self._shared.lease_end_s) - time.monotonic()
