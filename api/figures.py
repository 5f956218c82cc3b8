"""What `/metrics` tells: requests of this process, and the whole system as the database knows it."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from store import census
from store.census import Census
from store.engine import Database
from store.lifecycle import FailureCause, RunState
from store.tally import BOUNDS_S, Tallied, Total

_OUTCOMES = (RunState.SUCCEEDED.value, RunState.CANCELLED.value, *(cause.value for cause in FailureCause))
_DELIVERIES = ("delivered", "failed", "dead")
_CLASSIFY_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Figures:
    """Request counts and durations of one app, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        labels = ("method", "route")
        self.requests = Counter("pskd_http_requests", "Requests answered", (*labels, "status"), registry=self.registry)
        self.seconds = Histogram(
            "pskd_http_request_seconds", "Time to the end of the answer", labels, registry=self.registry
        )
        self._classify = Histogram(
            "pskd_classify_seconds",
            "Time to read a recording that was sent whole, and to label it",
            ("step",),
            registry=self.registry,
            buckets=_CLASSIFY_S,
        )
        self.streams = Gauge("pskd_streams", "Streams that are open", registry=self.registry)
        self.stream_windows = Counter("pskd_stream_windows", "Windows labelled in streams", registry=self.registry)
        self._read, self._label = (self._classify.labels(step) for step in ("read", "label"))

    def observe(self, method: str, route: str, *, status: int, seconds: float) -> None:
        """Count one answered request under its route, never under its path."""
        self.requests.labels(method, route, status).inc()
        self.seconds.labels(method, route).observe(seconds)

    def observe_classify(self, *, read_s: float, label_s: float) -> None:
        """Count one recording that was labelled."""
        self._read.observe(read_s)
        self._label.observe(label_s)


class SystemFigures(Collector):
    """Queues, runs and messages of all tenants; every process tells the same, as it stands in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: to register it asks no database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One look; without a database only that it is away, so that the figures of the process remain."""
        up = GaugeMetricFamily("pskd_database_up", "1 if the database has answered, else the figures below are absent")
        try:
            with self._database.read() as session:
                seen = census.look(session)
        except SQLAlchemyError:
            up.add_metric((), 0)
            yield up
            return
        up.add_metric((), 1)
        yield up
        yield from _gauges(seen)
        yield _lost(seen.totals)
        yield _histogram("pskd_run_seconds", "How long runs ran that have ended", Tallied.RUN, _OUTCOMES, seen.totals)
        attempts = "Time of an attempt to deliver to a webhook"
        yield _histogram("pskd_webhook_seconds", attempts, Tallied.WEBHOOK, _DELIVERIES, seen.totals)


def _gauges(seen: Census) -> Iterator[Metric]:
    depth = GaugeMetricFamily(
        "pskd_queue_depth", "Runs (io: imports and classifications) waiting or under way", labels=("queue", "state")
    )
    for (queue, state), count in seen.depths.items():
        depth.add_metric((queue, state), count)
    oldest = GaugeMetricFamily("pskd_queue_oldest_seconds", "How long the first has waited", labels=("queue",))
    for queue, waited_s in seen.oldest_s.items():
        oldest.add_metric((queue,), waited_s)
    unsent = GaugeMetricFamily("pskd_outbox_depth", "Messages not sent yet", labels=("kind",))
    age = GaugeMetricFamily("pskd_outbox_oldest_seconds", "Age of the first message not sent yet", labels=("kind",))
    for kind, backlog in seen.messages.items():
        unsent.add_metric((kind,), backlog.count)
        age.add_metric((kind,), backlog.oldest_s)
    yield from (depth, oldest, unsent, age)


def _lost(totals: Sequence[Total]) -> Metric:
    counts = {total.label: total.count for total in totals if total.what is Tallied.LEASE_LOST}
    family = CounterMetricFamily("pskd_leases_lost", "Leases that ran out before their work ended", labels=("of",))
    for of in ("run", "import", "classification"):
        family.add_metric((of,), counts.get(of, 0))
    return family


def _histogram(name: str, text: str, what: Tallied, labels: Iterable[str], totals: Sequence[Total]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=("outcome",))
    of_label: defaultdict[str, dict[float, Total]] = defaultdict(dict)
    for total in totals:
        if total.what is what:
            of_label[total.label][total.bound_s] = total
    for label in labels:
        found, below, buckets = of_label[label], 0, list[tuple[str, float]]()
        for bound_s in BOUNDS_S[what]:
            below += found[bound_s].count if bound_s in found else 0
            buckets.append(("+Inf" if math.isinf(bound_s) else str(float(bound_s)), below))
        family.add_metric((label,), buckets, sum(total.seconds for total in found.values()))
    return family
