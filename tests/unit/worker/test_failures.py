"""Which error ends work, and with what cause."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from sqlalchemy.exc import OperationalError

from pskd_core.errors import DataError, NonFiniteLossError, ProtocolError, RankLost, SpecError
from store.errors import ObjectMissing, StorageFull
from store.lifecycle import FailureCause
from worker.failures import cause_of, detail_of

NAN = NonFiniteLossError(network="student", term="mk", step=7, value=float("nan"))


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (NAN, FailureCause.NAN_LOSS),
        (SpecError("no such stream"), FailureCause.USER_ERROR),
        (DataError("cannot be read", file="a1.mat"), FailureCause.DATA),
        (ProtocolError("subject 9 is missing"), FailureCause.DATA),
        (MemoryError(), FailureCause.OUT_OF_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), FailureCause.OUT_OF_MEMORY),
        (OSError(12, "Cannot allocate memory"), FailureCause.OUT_OF_MEMORY),
        (RankLost("process 2 of 2 has failed: MemoryError", out_of_memory=True), FailureCause.OUT_OF_MEMORY),
        (RankLost("process 2 of 2 was killed by signal 9", killed=True), None),
        (StorageFull(stored_bytes=9, adding_bytes=2, limit_bytes=10), FailureCause.QUOTA),
        (KeyError("width"), FailureCause.INTERNAL),
        (RuntimeError("shapes cannot be multiplied"), FailureCause.INTERNAL),
        (OSError(28, "No space left on device"), None),
        (SafetensorError("Error while serializing: I/O error: No space left on device"), None),
        (OperationalError("SELECT 1", {}, Exception("gone")), None),
        (ObjectMissing("there is no object"), None),
    ],
)
def test_every_error_has_its_cause(error: Exception, cause: FailureCause | None) -> None:
    """Users' mistakes, data, memory and our own faults end a run; trouble with disk or servers is tried again."""
    assert cause_of(error) is cause


@pytest.mark.parametrize("ask", [lambda: torch.empty(2**50), lambda: np.empty(2**50)])
def test_memory_that_is_really_refused_is_recognised(ask: Callable[[], object]) -> None:
    """What torch and numpy raise on this very machine counts as out of memory."""
    with pytest.raises((RuntimeError, MemoryError)) as refused:
        ask()
    assert cause_of(refused.value) is FailureCause.OUT_OF_MEMORY


def test_a_non_finite_loss_is_told_with_step_and_term() -> None:
    """The detail that users read names the term, the network and the step."""
    assert detail_of(NAN).startswith("loss term mk of student is nan at step 7")
    assert detail_of(KeyError("width")) == "KeyError: 'width'"
