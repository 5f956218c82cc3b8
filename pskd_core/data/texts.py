"""Text out of bytes."""

import codecs
import io
import re

from pskd_core.errors import DataError

LONGEST_LINE = 1 << 21  # characters: a thousand columns take less than a hundredth of it


def decoded_text(data: bytes, file: str | None) -> str:
    """Text with one kind of line end.

    Raises:
        DataError: it is no text.
    """
    try:
        wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # old loggers: ², µ and °
    refuse_binary(text, file)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def refuse_binary(text: str, file: str | None) -> None:
    """Refuse what begins with signs that no text holds.

    Raises:
        DataError: it does.
    """
    if re.search(r"[\0-\x08\x0e-\x1f]", text[:4096]):
        detail = (
            "not a recording: neither text (CSV, TSV), .npy, .npz, .mat or Parquet, nor a file of ActiGraph, GENEActiv "
            "or Axivity"
        )
        raise DataError(detail, file=file)


def refuse_long_lines(text: str, file: str | None, *, before: int = 0) -> None:
    """Tables are parsed line by line, so a bound on lines bounds what a parser holds beside its numbers.

    Args:
        text: whole lines.
        file: for messages.
        before: lines of the file before the text.

    Raises:
        DataError: a line is longer than any that holds a row, or a quote goes on beyond its line.
    """
    start = 0
    while len(text) - start > LONGEST_LINE:
        end = text.rfind("\n", start, start + LONGEST_LINE + 1)
        if end < 0:
            detail = f"a line of more than {LONGEST_LINE} characters is no row of numbers"
            raise DataError(detail, file=file, row=before + text.count("\n", 0, start) + 1)
        start = end + 1
    if '"' in text:
        odd = (number for number, line in enumerate(io.StringIO(text), start=before + 1) if line.count('"') % 2)
        if (row := next(odd, None)) is not None:
            raise DataError("a quote is opened and not closed", file=file, row=row)
