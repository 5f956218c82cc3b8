"""Text out of bytes."""

import codecs
import re

from pskd_core.errors import DataError


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
    if re.search(r"[\0-\x08\x0e-\x1f]", text[:4096]):
        detail = (
            "not a recording: neither text (CSV, TSV), .npy, .npz, .mat or Parquet, nor a file of ActiGraph, GENEActiv "
            "or Axivity"
        )
        raise DataError(detail, file=file)
    return text.replace("\r\n", "\n").replace("\r", "\n")
