"""Notes for the tracker, due with the transaction that they report; without a tracking server there are none."""

import time
from collections.abc import Mapping

from sqlalchemy.orm import Session

from store import outbox
from store.models import Run
from store.settings import Settings


def state(session: Session, settings: Settings, run_id: str) -> None:
    """The run has come into the state that it has now."""
    if settings.mlflow_url:
        outbox.add(session, "mlflow", run_id, {"op": "state", "state": session.get_one(Run, run_id).state})


def epoch(session: Session, settings: Settings, run_id: str, *, epoch: int, metrics: Mapping[str, float]) -> None:
    """An epoch is done. Its time travels along, so that sending it twice adds no second point to a curve."""
    if settings.mlflow_url:
        at_ms = time.time_ns() // 1_000_000
        outbox.add(session, "mlflow", run_id, {"op": "epoch", "epoch": epoch, "at_ms": at_ms, "metrics": dict(metrics)})
