"""docs/recordings.md shows what real files are understood to be."""

from tests.unit.data.real_files import DOCUMENT, table, without_table


def test_the_table_of_real_files_is_true() -> None:
    """Each file of `recordings/`, read now, gives the row that the document shows, and no row is missing or old."""
    expected = table()
    _, shown = without_table(DOCUMENT.read_text(encoding="utf-8"))
    assert shown == expected, "write it anew: python -m tests.unit.data.real_files"
