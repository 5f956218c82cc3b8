"""Short runs of the upload campaign, always the same; and that its watch over files and pickles sees something."""

import pickle
import random
from pathlib import Path

from pskd_core.data.importing import import_dataset
from pskd_core.errors import DataError
from tests.fuzz.corpus import ESCAPE, Payload, datasets
from tests.fuzz.mutate import mutated
from tests.fuzz.service import serving
from tests.fuzz.uploads import Findings, _judge, run, uploads

_SEED, _COUNT, _ARCHIVES = 20, 250, 60


def test_damaged_recordings_are_refused_and_nothing_else(tmp_path: Path) -> None:
    """Bombs, pickles and mutations over HTTP: no 5xx, no silence, no file outside its place, bounded memory."""
    found = Findings(tmp_path / "kept")
    with serving(tmp_path / "service") as service:
        run(service, found, seed=_SEED, count=_COUNT, imports=False)
        assert found.violations == []
        assert set(found.statuses) == {"classify 200", "classify 422"}
        assert sum(found.statuses.values()) == _COUNT
        assert found.peaks_mib["api"] > 0
        # The watch itself: each of these is seen.
        (service.folder / "canary").touch()
        (service.folder / ESCAPE).touch()
        (service.stack.settings.cache_dir / "uploads" / "left").touch()
        _judge(service, found, service.folder / "canary", set())
    seen = "\n".join(found.violations)
    for what in ("a pickle was loaded", "a file outside its place", "a name led out", "left behind in uploads"):
        assert what in seen


def test_damaged_archives_are_imported_or_refused(tmp_path: Path) -> None:
    """Sound archives, hostile ones and mutations of them: each is a dataset or an error of the data, and stays put."""
    canary, chance = tmp_path / "canary", random.Random(_SEED)  # noqa: S311 - repeatable
    archives = datasets(canary)
    files = [*archives.items(), *(mutated(archives, chance) for _ in range(_ARCHIVES))]
    imported = set()
    (folder := tmp_path / "made").mkdir()
    for number, (name, data) in enumerate(files):
        (upload := tmp_path / "upload.zip").write_bytes(data)
        try:
            import_dataset(upload, folder / str(number), label=name)
        except DataError:
            assert not (folder / str(number)).exists()
        else:
            imported |= {name} if number < len(archives) else set()  # mutations may have taken out what was hostile
    assert {"own.zip", "utd.zip"} <= imported
    assert not imported & {"evil-utd.zip", "foreign.zip", "nested.zip", "outside.zip", "link.zip"}
    assert {path.name for path in tmp_path.iterdir()} == {"made", "upload.zip"}


def test_the_payload_of_our_pickles_works(tmp_path: Path) -> None:
    """Whoever loads one of them makes the canary, so its absence proves something."""
    pickle.loads(pickle.dumps(Payload(tmp_path / "canary")))  # noqa: S301 - that is what is tested
    assert (tmp_path / "canary").exists()


def test_a_seed_names_its_uploads(tmp_path: Path) -> None:
    """The same seed sends the same bytes in the same order, another seed others."""
    first, again, other = (
        [each.data for each in uploads(seed, 90, canary=tmp_path / "canary", imports=True)] for seed in (1, 1, 2)
    )
    assert first == again != other
