"""Scratch folders: gone with their work, and, after a killed worker, with the next one's start."""

import multiprocessing
from pathlib import Path

from worker.scratch import Scratch


def hold_until_told(root: Path, here: "multiprocessing.connection.Connection[str, str]") -> None:
    with Scratch(root).folder() as folder:
        (folder / "half").write_text("written")
        here.send(str(folder))
        here.recv()


def test_only_what_a_dead_worker_left_is_swept(tmp_path: Path) -> None:
    """A new worker removes the folder of a killed one and leaves that of a living one."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=hold_until_told, args=(tmp_path, there))
    other.start()
    folder = Path(here.recv())
    Scratch(tmp_path).close()
    assert (folder / "half").exists()
    other.kill()
    other.join()
    mine = Scratch(tmp_path)
    assert list(tmp_path.iterdir()) == [mine.path]
    mine.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_is_gone_after_its_block(tmp_path: Path) -> None:
    """What a child leaves unfinished does not outlive its supervision, not even read-only files."""
    scratch = Scratch(tmp_path)
    with scratch.folder() as folder:
        (folder / "bundle").mkdir()
        (folder / "bundle" / "half").write_text("written")
        (folder / "bundle" / "half").chmod(0o444)
    assert not folder.exists()
    scratch.close()
