"""Clips by the ten thousand: how much memory they take, and that they are what a few of them are."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pskd_core.data import mapped
from pskd_core.data.mapped import release, room

# Reads every clip as an epoch does; prints its own peak of resident memory in bytes.
EPOCH = """
import resource, sys
from pathlib import Path
import numpy as np
from pskd_core.config import parse_spec
from pskd_core.data.batches import batch_order, channel_statistics, prepare_clips
from pskd_core.data.columnar import Dataset, DatasetInfo, Recording, SkeletonInfo, Stream, StreamInfo, write_dataset

joints = SkeletonInfo(joints=tuple(map(str, range(17))), bones=(), centre=0)
streams = {"accelerometer": StreamInfo(channels=3, unit="g", rate_hz=50),
           "skeleton": StreamInfo(channels=None, unit="m", rate_hz=25)}
info = DatasetInfo(name="made", layout="made", classes=("sit", "stand"), streams=streams, skeleton=joints)

def recordings(count):
    draw = np.random.default_rng(0)
    for number in range(count):
        held = {"accelerometer": Stream(draw.standard_normal((200, 3), np.float32), 50.0),
                "skeleton": Stream(draw.standard_normal((100, 17, 3), np.float32), 25.0)}
        yield Recording(id=str(number), subject="1", trial="1", label=0, streams=held)

count = int(sys.argv[2])
dataset = write_dataset(Path(sys.argv[1]), info, recordings(count))
clips = prepare_clips(dataset, range(count), parse_spec({}))
channel_statistics(clips)
for rows in batch_order(count, batch_size=64, seed=0, epoch=0):
    clips.take(rows)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak * (1 if sys.platform == "darwin" else 1024))
"""


def peak_bytes(folder: Path, clips: int) -> int:
    command = [sys.executable, "-c", EPOCH, str(folder / str(clips)), str(clips)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(sys.platform == "darwin", reason="there the system gives memory back when it sees fit")
def test_memory_grows_far_less_than_the_clips(tmp_path: Path) -> None:
    """7,000 clips more are 160 MB of samples, and 102 MB once prepared; they take less than 100 MB together."""
    assert peak_bytes(tmp_path, 8000) - peak_bytes(tmp_path, 1000) < 100e6


def test_a_large_array_is_mapped_and_a_small_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both begin as zeros and keep what is written, whether or not their memory was given back; so do views."""
    monkeypatch.setattr(mapped, "MOST_IN_MEMORY", 1 << 12)
    small, large = room((4, 3)), room((1000, 3))
    assert (small.base is None, large.base is None) == (True, False)
    for values in (small, large):
        assert not values.any()
        values[1] = [1, 2, 3]
        view = values[1:3]
        release(values)
        release(view)
        assert view.tolist() == [[1, 2, 3], [0, 0, 0]]
        assert np.array_equal(values[1], [1, 2, 3])


@pytest.mark.skipif(
    not os.path.ismount("/dev/shm"), reason="needs a file system that says at once how much it can hold"
)
def test_a_disk_without_room_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a signal that ends the process once the clips are written; the message names the folder and the remedy."""
    monkeypatch.setattr(tempfile, "tempdir", "/dev/shm")
    held = os.statvfs("/dev/shm")
    with pytest.raises(OSError, match=r"need \d+ MiB there: free them, or name another folder in TMPDIR") as refused:
        room((held.f_blocks * held.f_frsize // 2,))  # twice as many bytes as it has
    assert (refused.value.errno, refused.value.filename) == (errno.ENOSPC, "/dev/shm")
