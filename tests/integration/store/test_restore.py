"""What a restore refuses, and what it brings back at last: an archive of an older schema, or at its second try."""

import json
import time
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import update

from store import archive
from store.archive import ArchiveError
from store.backup import backup
from store.migrate import upgrade
from store.models import Dataset
from store.restore import restore
from tests.dumps.kept import VERSIONS, load
from tests.integration.store.places import NOTED, Make, Place, digest_of, remade, under_way, without
from tests.stored import add_ready_dataset, claim


@pytest.fixture
def made(place: Make, tmp_path: Path) -> Path:
    """An archive with rows in every table."""
    here = place("sqlite", "here")
    here.fill(tmp_path)
    backup(here.settings, tmp_path / "all.zip")
    return tmp_path / "all.zip"


def assert_refused(there: Place, file: Path, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        restore(there.settings, file)
    assert there.tables() == []
    assert list(there.objects.stored()) == []


def test_a_damaged_member_is_named(made: Path, place: Make) -> None:
    """One byte of one object is other than it was: nothing is restored, and the message names it."""
    with zipfile.ZipFile(made) as opened:
        entry = next(each for each in opened.infolist() if each.filename.startswith("objects/"))
    content = bytearray(made.read_bytes())
    content[entry.header_offset + 30 + len(entry.filename) + len(entry.extra) + 25] ^= 1
    made.write_bytes(content)
    assert_refused(place("sqlite", "there"), made, f"{entry.filename} is damaged")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_archive_is_refused(share: float, made: Path, place: Make) -> None:
    """Whatever is missing at its end."""
    content = made.read_bytes()
    made.write_bytes(content[: int(share * len(content))])
    assert_refused(place("sqlite", "there"), made, "is no whole backup")


@pytest.mark.parametrize("name", ["../evil", "/evil", "mlflow/../../evil", "objects/evil", "tables/../evil.jsonl"])
def test_a_hostile_member_is_refused(name: str, made: Path, place: Make) -> None:
    """No name leads out of its place, also if the list has it; nor does a name that no backup writes."""
    with zipfile.ZipFile(made) as opened:
        members = json.loads(opened.read(archive.MANIFEST))["members"]
    listed = {**members, name: {"size_bytes": 4, "sha256": digest_of(b"evil")}}
    hostile = remade(made, {"members": listed}, {name: b"evil"})
    there = place("sqlite", "there")
    with pytest.raises(ArchiveError, match="no backup does"):
        restore(there.settings, hostile, mlflow=there.settings.home / "mlflow")
    assert_refused(there, hostile, "no backup does")
    assert [path for path in made.parent.rglob("*") if path.name == "evil"] == []


def test_what_the_list_does_not_name_is_refused(made: Path, place: Make) -> None:
    """A member that was added, and an object under another's digest."""
    there = place("sqlite", "there")
    added = remade(made, {}, {f"objects/{digest_of(b'more')}": b"more"})
    assert_refused(there, added, "do not agree")
    name, member = f"objects/{digest_of(b'one')}", {"size_bytes": 5, "sha256": digest_of(b"other")}
    with zipfile.ZipFile(made) as opened:
        members = json.loads(opened.read(archive.MANIFEST))["members"]
    assert_refused(there, remade(made, {"members": {**members, name: member}}, {name: b"other"}), "is damaged")


def test_a_packed_member_is_refused(made: Path, place: Make, tmp_path: Path) -> None:
    """A backup is not packed, so nothing in it can be larger than it."""
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(archive.MANIFEST, b" " * 1_000_000)
    assert_refused(place("sqlite", "there"), bomb, "is packed")


def test_other_files_are_no_archives(place: Make, tmp_path: Path) -> None:
    """A file that is not there, a zip of something else, and a list of a version to come."""
    there, file = place("sqlite", "there"), tmp_path / "all.zip"
    assert_refused(there, file, "there is no")
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr(f"objects/{digest_of(b'')}", b"")
    assert_refused(there, file, "has no manifest.json")
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr(archive.MANIFEST, json.dumps({"format": 2}))
    assert_refused(there, file, "format in manifest.json is not as this version writes it")


def test_a_newer_schema_is_refused(made: Path, place: Make) -> None:
    """An archive of a version to come says which version that was."""
    newer = remade(made, {"revision": "9999", "product": "7.0.0"})
    assert_refused(place("sqlite", "there"), newer, r"version 7\.0\.0 and has schema 9999")


def test_a_used_installation_is_refused(made: Path, place: Make, tmp_path: Path) -> None:
    """Rows, objects and MLflow's files that are there already are named, and stay as they are."""
    there = place("sqlite", "there")
    stray = there.objects.put_bytes(b"stray")
    with pytest.raises(ArchiveError, match=stray):
        restore(there.settings, made)
    there.objects.remove(stray, older_than_s=0.0)
    folder = there.settings.home / "mlflow"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(b"curves")
    with pytest.raises(ArchiveError, match=r"mlflow\.db already"):
        restore(there.settings, made, mlflow=folder)
    assert (folder / "mlflow.db").read_bytes() == b"curves"
    upgrade(there.settings.database_url)
    with there.database.write() as session:
        add_ready_dataset(session, "mine")
    before = there.rows()
    with pytest.raises(ArchiveError, match="rows already, in table 'dataset'"):
        restore(there.settings, made)
    assert there.rows() == before
    assert list(there.objects.stored()) == []


def test_a_database_of_something_else_is_refused(made: Path, place: Make) -> None:
    """Its table is named, though it is empty."""
    there = place("sqlite", "there")
    with there.database.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE wages (id INTEGER)")
    with pytest.raises(ArchiveError, match="'wages' of something else"):
        restore(there.settings, made)
    assert there.tables() == ["wages"]


# --- Repeated and upgraded ----------------------------------------------------------------------------------------


def test_a_killed_restore_is_repeated(place: Make, tmp_path: Path) -> None:
    """Killed while it puts objects it has shown nothing, and the same command once more brings all of it back."""
    here, there, file = place("sqlite", "here"), place("sqlite", "there"), tmp_path / "all.zip"
    here.fill(tmp_path)
    many = tmp_path / "many"
    many.mkdir()
    for number in range(200):
        (many / str(number)).write_text(str(number))
    with here.database.write() as session:
        held = Dataset.tree_digest.is_not(None)
        session.execute(update(Dataset).where(held).values(tree_digest=here.objects.put_tree(many)))
    backup(here.settings, file)
    process = there.start("store.restore", file)
    while not list(there.objects.stored()):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    assert process.communicate()[0] == ""
    assert there.tables() == []
    assert len(list(there.objects.stored())) < 200
    restore(there.settings, file)
    assert len(list(there.objects.stored())) > 200
    assert without(there.rows(), under_way(here), NOTED) == without(here.rows(), under_way(here), NOTED)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("kind", "other"), [("sqlite", "sqlite"), ("postgresql", "postgresql"), ("sqlite", "postgresql")]
)
def test_an_older_schema_is_upgraded(version: str, kind: str, other: str, place: Make, tmp_path: Path) -> None:
    """What a released version left, backed up before its upgrade, comes back as an upgrade in its place leaves it."""
    here, there, file = place(kind, "here"), place(other, "there"), tmp_path / "all.zip"
    load(version, here.settings.database_url)
    here.put_objects(tmp_path)
    backup(here.settings, file)
    restore(there.settings, file)
    upgrade(here.settings.database_url)
    held = under_way(here)
    assert without(there.rows(), held, NOTED) == without(here.rows(), held, NOTED)
    assert {each.digest for each in there.objects.stored()} == {each.digest for each in here.objects.stored()}
    with there.database.write() as session:
        assert (claimed := claim(session)).run_id == held.id
        assert (claimed.attempts, claimed.checkpoint_digest) == (2, held.checkpoint_digest)
