"""Random streams: named, separate, and the same wherever they are made."""

import numpy as np

from pskd_core.seed import generator, torch_seed


def test_same_name_gives_same_stream() -> None:
    """Two generators of one name draw the same numbers, whatever was drawn elsewhere in between."""
    first = generator(3, "view", 7, "a1_s1_t1").random(5)
    generator(3, "order", 7).random(1000)
    assert np.array_equal(first, generator(3, "view", 7, "a1_s1_t1").random(5))


def test_every_part_separates_streams() -> None:
    """A change of seed, name, part or of where parts are cut gives another stream."""
    keys = [(0, "view", 1, "a"), (1, "view", 1, "a"), (0, "order", 1, "a"), (0, "view", 2, "a"), (0, "view", 1, "b")]
    draws = {generator(*key).random() for key in keys} | {generator(0, "view", "1a").random()}
    assert len(draws) == len(keys) + 1


def test_numpy_integers_are_integers() -> None:
    """An epoch that is a numpy integer names the same stream as the Python one."""
    assert generator(0, "order", int(np.int64(3))).random() == generator(0, "order", np.int64(3)).random()  # type: ignore[arg-type]


def test_streams_are_frozen() -> None:
    """Streams do not change between versions: results published with a seed stay repeatable."""
    assert generator(0, "order", 0).permutation(8).tolist() == [0, 7, 2, 3, 5, 4, 6, 1]
    assert torch_seed(0, "student") == 5870943824026471977


def test_neighbouring_streams_are_uncorrelated() -> None:
    """Streams of consecutive epochs look independent: correlation within 5 standard errors of 0."""
    first, second = generator(0, "view", 0).standard_normal(20_000), generator(0, "view", 1).standard_normal(20_000)
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(20_000)


def test_torch_seed_fits_torch() -> None:
    """Seeds are distinct by name and within what `manual_seed` takes without wrapping."""
    seeds = {torch_seed(seed, name) for seed in range(50) for name in ("student", "teacher/skeleton")}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**63 for seed in seeds)
