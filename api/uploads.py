"""Bodies that are files: a form with one file, or the file itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from api.errors import INVALID, MALFORMED, Fault, Refusal

_Model = TypeVar("_Model", bound=BaseModel)
_MOST_FIELDS = 8


class _ToFolder(MultiPartParser):
    """Writes files below a folder; by default they go to memory and then to `/tmp`, which may be memory too."""

    folder: Path

    def on_headers_finished(self) -> None:
        """Open the file of the part that begins."""
        super().on_headers_finished()
        if (upload := self._current_part.file) is not None:
            file: Any = NamedTemporaryFile(dir=self.folder)  # noqa: SIM115 - closed with the form
            upload.file.close()
            upload.file = file
            self._files_to_close_on_error.append(file)


@asynccontextmanager
async def form_file(request: Request, *, folder: Path) -> AsyncIterator[tuple[UploadFile, FormData]]:
    """The file in the field `file` of a multipart form, written below `folder` while it lasts, and the form.

    Raises:
        Refusal: the form is damaged (400), or has no such file or an empty one (422).
    """
    parser = _ToFolder(request.headers, request.stream(), max_files=1, max_fields=_MOST_FIELDS)
    parser.folder = folder
    try:
        form = await parser.parse()
    except MultiPartException as damaged:
        raise Refusal(MALFORMED, f"the form cannot be read: {damaged.message}") from damaged
    try:
        yield _file_of(form), form
    finally:
        await form.close()


def _file_of(form: FormData) -> UploadFile:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise _bad_file("the form has no file in its field `file`")
    if not file.size:
        raise _bad_file("the file is empty")
    # A form may choose an encoding that makes of its names what can be neither stored nor sent.
    file.filename = (file.filename or "").replace("\0", "\ufffd").encode(errors="replace").decode()
    return file


def validated(model: type[_Model], data: Any) -> _Model:
    """`data` as a model, with faults reported as those of a request body.

    Raises:
        RequestValidationError: it does not fit.
    """
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        faults = [{**error, "loc": ("body", *error["loc"])} for error in invalid.errors()]
        raise RequestValidationError(faults) from invalid


def _bad_file(detail: str) -> Refusal:
    return Refusal(INVALID, detail, errors=[Fault(detail=detail, pointer="/file")])
