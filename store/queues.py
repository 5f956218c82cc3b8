"""Names of the Celery queues, and which of them a run's wake goes to."""

CPU = "cpu"
GPU = "gpu"
IO = "io"  # dataset imports, and recordings to be labelled


def queue_of(device: str) -> str:
    """The queue of a spec's `resources.device`; `auto` is woken on `cpu`, which GPU workers listen to as well."""
    return GPU if device == "cuda" else CPU
