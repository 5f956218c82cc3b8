"""Models that answer: which version a name stands for, asked once a second, and its network, ready to run."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from fastapi.concurrency import run_in_threadpool

from api.schemas.classify import ServedModel
from pskd_core.inference import Bundle
from store import registry
from store.engine import Database

LASTS_S = 1.0
_MOST = 1000
_QUICK_S = 0.002  # a window that takes longer is no work for the event loop
_TRIES = 3

_Key = tuple[str, str, int | None, str | None]


@dataclass(frozen=True)
class Served:
    """One version of a model, as it answers."""

    model: ServedModel
    bundle: Bundle
    quick: bool  # the event loop can afford to run it
    window: tuple[int, int]  # shape of what it takes: 3 · S, T
    outputs: Mapping[str, tuple[int, ...]]  # shape of what it gives for each window


class Serving:
    """Finds what serves a name; another version that is promoted elsewhere serves a second later at most.

    Whoever has been given a version answers with it to the end, so a promotion disturbs nobody.
    """

    def __init__(self, database: Database, load_bundle: Callable[[str], Bundle]) -> None:
        self._database, self._load_bundle = database, load_bundle
        self._known: dict[_Key, tuple[float, Served]] = {}
        self._is_quick = lru_cache(maxsize=_MOST)(self._measure)

    async def find(self, tenant: str, name: str, *, version: int | None, alias: str | None) -> Served:
        """The version that a number or an alias (default: `champion`) names.

        Raises:
            NotFound: nothing of that name is there.
        """
        asked_at, served = self._known.get((tenant, name, version, alias), (0.0, None))
        if served is not None and time.monotonic() - asked_at < LASTS_S:
            return served
        return await run_in_threadpool(self.look, tenant, name, version=version, alias=alias)

    def look(self, tenant: str, name: str, *, version: int | None, alias: str | None) -> Served:
        """The same, from the database."""
        now = time.monotonic()
        with self._database.read() as session:
            found = registry.resolve(session, name, version=version, alias=alias, tenant=tenant)
        bundle = self._load_bundle(found.bundle_digest)
        model = ServedModel(name=name, version=found.version, **dict(bundle.summary))
        served = Served(
            model,
            bundle,
            self._is_quick(found.bundle_digest),
            window=_window(bundle),
            outputs={each.name: tuple(each.shape[1:]) for each in bundle.session.get_outputs()},
        )
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[tenant, name, version, alias] = (now, served)
        return served

    def forget(self, tenant: str, name: str) -> None:
        """Ask anew for whatever this name stands for: it has been changed here."""
        for key in [key for key in tuple(self._known) if key[:2] == (tenant, name)]:
            self._known.pop(key, None)

    def _measure(self, bundle_digest: str) -> bool:
        """Whether one window takes little time; the best of a few runs, of which the first warms up."""
        bundle = self._load_bundle(bundle_digest)
        window = np.zeros((1, *_window(bundle)), np.float32)
        took_s = []
        for _ in range(_TRIES):
            began_at = time.perf_counter()
            bundle.predict(window)
            took_s.append(time.perf_counter() - began_at)
        return min(took_s) < _QUICK_S


def _window(bundle: Bundle) -> tuple[int, int]:
    return 3 * len(bundle.info.inputs), bundle.info.frames
