"""Bodies that are files: a form with one file, or the file itself."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, SpooledTemporaryFile
from typing import IO, Any, TypeVar, cast

from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from api.errors import INVALID, MALFORMED, Fault, Refusal
from pskd_core.errors import json_pointer

_Model = TypeVar("_Model", bound=BaseModel)
_MOST_FIELDS = 8


def form_schema(file: str | None = None, **fields: str) -> dict[str, Any]:
    """The part of an OpenAPI body that is a form with a file and other fields, each with its description."""
    described = {"description": file} if file is not None else {}
    properties = {"file": {"type": "string", "format": "binary", **described}}
    properties |= {name: {"type": "string", "description": text} for name, text in fields.items()}
    return {"multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": properties}}}


class _ToFolder(MultiPartParser):
    """Writes files below a folder; by default they go to memory and then to `/tmp`, which may be memory too."""

    folder: Path
    fields_before: dict[str, str] | None = None  # the fields that came before the file, once it begins
    file_bytes = 0  # of the file, so far

    def on_headers_finished(self) -> None:
        """Open the file of the part that begins."""
        super().on_headers_finished()
        if (upload := self._current_part.file) is not None:
            self.fields_before = {name: value for name, value in self.items if isinstance(value, str)}
            file: Any = NamedTemporaryFile(dir=self.folder)  # noqa: SIM115 - closed with the form
            upload.file.close()
            upload.file = file
            self._files_to_close_on_error.append(file)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Count what comes of the file."""
        super().on_part_data(data, start, end)
        if self._current_part.file is not None:
            self.file_bytes += end - start


@asynccontextmanager
async def form_file(
    request: Request,
    *,
    folder: Path,
    fields: Collection[str] = (),
    check: Callable[[Mapping[str, str]], Awaitable[None]] | None = None,
    count: Callable[[int], None] | None = None,
) -> AsyncIterator[tuple[UploadFile, FormData]]:
    """The file in the field `file` of a multipart form, written below `folder` while it lasts, and the form.

    It may have these other `fields`; what stands in another would be passed over, which nobody means.

    `check` may refuse the form by the fields that come before the file, while the file has only begun to arrive;
    `count` is told how many bytes of the file have come, again and again, and may refuse them.

    Raises:
        Refusal: the form is damaged (400), has no such file or an empty one, or another field (422).
    """
    parser = _ToFolder(request.headers, request.stream(), max_files=1, max_fields=_MOST_FIELDS)
    parser.folder = folder
    if check is not None:
        parser.stream = _checked(parser.stream, parser, check)
    if count is not None:
        parser.stream = _counted(parser.stream, parser, count)
    try:
        form = await parser.parse()
    except MultiPartException as damaged:
        raise Refusal(MALFORMED, f"the form cannot be read: {damaged.message}") from damaged
    except UnicodeError as undecodable:  # some of Python's encodings decode nothing at all
        raise Refusal(MALFORMED, "the form cannot be read: its charset does not decode it; send UTF-8") from undecodable
    try:
        file = _file_of(form)
        _check_fields(form, fields)
        yield file, form
    finally:
        await form.close()


@asynccontextmanager
async def body_file(request: Request, *, folder: Path, most_in_memory: int) -> AsyncIterator[IO[bytes]]:
    """The body as a file, in memory or below `folder` while it lasts.

    Raises:
        Refusal: it is empty (422).
    """
    with SpooledTemporaryFile(most_in_memory, dir=str(folder)) as file:
        async for chunk in request.stream():
            if file.tell() + len(chunk) <= most_in_memory:
                file.write(chunk)
            else:
                await run_in_threadpool(file.write, chunk)
        if not file.tell():
            raise Refusal(INVALID, "the body is empty", errors=[Fault(detail="is empty", pointer="")])
        yield cast("IO[bytes]", file)


async def _counted(
    stream: AsyncGenerator[bytes, None], parser: _ToFolder, count: Callable[[int], None]
) -> AsyncGenerator[bytes, None]:
    async for chunk in stream:
        yield chunk
        count(parser.file_bytes)


async def _checked(
    stream: AsyncGenerator[bytes, None], parser: _ToFolder, check: Callable[[Mapping[str, str]], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    waiting = True
    async for chunk in stream:
        yield chunk
        # The parser asks for more, so it has taken this chunk in.
        if waiting and parser.fields_before is not None:
            waiting = False
            await check(parser.fields_before)


def _check_fields(form: FormData, fields: Collection[str]) -> None:
    known = ["file", *fields]
    if unknown := sorted(form.keys() - set(known)):
        detail = f"nothing reads this field; a form has {' and '.join(known)}, and options stand in the address"
        faults = [Fault(detail=detail, pointer=json_pointer((name,))) for name in unknown]
        raise Refusal(INVALID, f"{unknown[0]}: {detail}", errors=faults)


def _file_of(form: FormData) -> UploadFile:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise _bad_file("the form has no file in its field `file`")
    if not file.size:
        raise _bad_file("the file is empty")
    # A form may choose an encoding that makes of its names what can be neither stored nor sent.
    file.filename = (file.filename or "").replace("\0", "\ufffd").encode(errors="replace").decode()
    return file


def validated(model: type[_Model], data: Any, *, place: str = "body") -> _Model:
    """`data` as a model, with faults reported as those of a request's body, or of its `query`.

    Raises:
        RequestValidationError: it does not fit.
    """
    try:
        return model.model_validate(data)
    except ValidationError as invalid:
        faults = [{**error, "loc": (place, *error["loc"])} for error in invalid.errors()]
        raise RequestValidationError(faults) from invalid


def _bad_file(detail: str) -> Refusal:
    return Refusal(INVALID, detail, errors=[Fault(detail=detail, pointer="/file")])
