"""Scratch folders: gone with their work, and, after a killed worker, with another's next start or piece of work."""

import multiprocessing
from pathlib import Path

from worker.scratch import Scratch


def hold_until_told(root: Path, here: "multiprocessing.connection.Connection[str, str]") -> None:
    with Scratch(root).folder() as folder:
        (folder / "half").write_text("written")
        here.send(str(folder))
        here.recv()


def test_only_what_a_dead_worker_left_is_swept(tmp_path: Path) -> None:
    """A worker that starts or begins a piece of work removes a killed one's folder and leaves a living one's."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=hold_until_told, args=(tmp_path, there))
    other.start()
    folder = Path(here.recv())
    early = Scratch(tmp_path)
    with early.folder():
        assert (folder / "half").exists()
    other.kill()
    other.join()
    assert (folder / "half").exists()
    with early.folder():
        assert not folder.exists()
        assert early.path.exists()
    folder.mkdir(parents=True)  # as if written once more
    early.close()
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
