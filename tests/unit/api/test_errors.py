"""The table from exception to problem is complete and unambiguous."""

import inspect
from types import ModuleType

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

import pskd_core.errors
import store.errors
from api import errors
from api.errors import INTERNAL, KINDS, kind_of, problem
from pskd_core.errors import DataError, PskdError
from store.errors import ObjectDamaged, StoreError

# What only says that something below went wrong, and is never raised itself.
BASES = {PskdError, StoreError}


def exceptions_of(module: ModuleType) -> set[type[Exception]]:
    """The exceptions that a module defines."""
    found = {kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Exception)}
    return {kind for kind in found if kind.__module__ == module.__name__}


@pytest.mark.parametrize("module", [pskd_core.errors, store.errors], ids=lambda module: module.__name__)
def test_every_exception_below_has_a_kind(module: ModuleType) -> None:
    """A new exception must be given a status and a problem type, or this fails."""
    assert exceptions_of(module) - BASES - set(KINDS) == set()


def test_nothing_that_other_rooms_raise_is_unknown() -> None:
    """Exceptions outside the two modules would escape the test above."""
    found = PskdError.__subclasses__() + StoreError.__subclasses__()
    assert {kind.__module__ for kind in found} <= {"pskd_core.errors", "store.errors", "store.idempotency"}


def test_problem_types_name_one_status_each() -> None:
    """A client may decide by `type` alone."""
    kinds = {kind for kind in (*KINDS.values(), *vars(errors).values()) if isinstance(kind, errors.Kind)}
    slugs = [kind.slug for kind in kinds]
    assert len(slugs) == len(set(slugs))


def test_an_exception_that_nobody_knows_is_our_fault() -> None:
    """What is not in the table never looks like the caller's mistake."""
    assert kind_of(ZeroDivisionError()) is INTERNAL


def scope() -> dict[str, object]:
    """A request of which a problem is told."""
    return {"type": "http", "path": "/v1/jobs", "state": {"request_id": "r1"}}


def test_our_faults_say_nothing_of_our_insides(caplog: pytest.LogCaptureFixture) -> None:
    """A 500 names the request id alone; the log has the rest under it."""
    answer = problem(scope(), ObjectDamaged("object 0f holds other bytes"))
    assert b"0f" not in answer.body
    assert b"r1" in answer.body
    assert "r1" in caplog.text
    assert "0f holds other bytes" in caplog.text


def test_a_data_error_names_its_place() -> None:
    """File, row and column are members of their own, so that a page can point at them."""
    answer = problem(scope(), DataError("no number", file="walk.csv", row=7, column="x"))
    assert b'"file": "walk.csv", "row": 7, "column": "x"' in answer.body


@pytest.mark.parametrize(
    ("location", "member"),
    [
        (("body", "source", "synthetic", "seed"), '"pointer": "/source/seed"'),
        (("body", "a/b", 0), '"pointer": "/a~1b/0"'),
        (("query", "limit"), '"parameter": "limit"'),
        (("path", "version"), '"parameter": "version"'),
        (("header", "last-event-id"), '"header": "last-event-id"'),
    ],
)
def test_a_validation_error_says_where(location: tuple[str | int, ...], member: str) -> None:
    """Body faults have JSON pointers; others name their parameter or header."""
    invalid = RequestValidationError([{"loc": location, "msg": "Value error, is wrong", "type": "value_error"}])
    answer = problem(scope(), invalid)
    assert answer.status_code == 422
    assert member in bytes(answer.body).decode()
    assert '"is wrong"' in bytes(answer.body).decode()


def test_an_error_without_kind_of_the_framework_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """A status that the framework may raise tomorrow is not a crash of the error handler."""
    assert problem(scope(), HTTPException(426)).status_code == 500
