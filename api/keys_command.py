"""`python -m api keys …`: an operator makes, lists and revokes keys on the server, where nobody asks for one."""

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.orm import Session

from pskd_core.fields import readable
from store import keys
from store.engine import Database
from store.errors import NotFound
from store.keys import Scope
from store.models import TENANT
from store.settings import Settings

_FAILED = 1
_MOST_DAYS = 36_500


def run(arguments: Sequence[str], settings: Settings) -> int:
    """Do what the arguments say; returns the exit status (1: not possible, 2: wrong usage)."""
    asked = _parser().parse_args(arguments)
    database = Database(settings.database_url)
    try:
        with database.write() as session:
            _do(asked, session)
    except NotFound as absent:
        sys.stderr.write(f"error: {absent} of tenant {asked.tenant!r}\n")
        return _FAILED
    except (OperationalError, ProgrammingError) as trouble:
        sys.stderr.write(f"error: the database cannot be used: {trouble.orig}\nremedy: python -m store.migrate\n")
        return _FAILED
    finally:
        database.dispose()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m api keys", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="make a key and print it, this once")
    create.add_argument("name", type=_name, help="whose it is, or what for")
    create.add_argument("--scope", action="append", required=True, choices=[scope.value for scope in Scope])
    create.add_argument("--days", type=_days, help="it expires after so many; default: never")
    revoke = commands.add_parser("revoke", help="let the key's bearer in no more")
    revoke.add_argument("id", help="as `list` shows it")
    for command in (create, revoke, commands.add_parser("list", help="show all keys of a tenant")):
        command.add_argument("--tenant", type=_tenant, default=TENANT, help="default: %(default)s")
    return parser


def _do(asked: argparse.Namespace, session: Session) -> None:
    match asked.command:
        case "create":
            expires_at = None if asked.days is None else datetime.now(UTC) + timedelta(days=asked.days)
            scopes = list(map(Scope, asked.scope))
            issued = keys.create(session, name=asked.name, scopes=scopes, expires_at=expires_at, tenant=asked.tenant)
            sys.stderr.write(f"{issued.row.id} of tenant {asked.tenant}; the key is not shown again:\n")
            sys.stdout.write(f"{issued.secret}\n")
        case "revoke":
            keys.revoke(session, asked.id, tenant=asked.tenant)
        case _:
            _list(session, asked.tenant)


def _list(session: Session, tenant: str) -> None:
    cursor = None
    while True:
        page = keys.page(session, tenant=tenant, cursor=cursor)
        for key in page.items:
            until = key.revoked_at or key.expires_at
            end = "" if until is None else f"{'revoked' if key.revoked_at else 'until'} {until:%Y-%m-%d %H:%M}"
            sys.stdout.write("  ".join([key.id, key.prefix, ",".join(key.scopes), key.name, end]).rstrip() + "\n")
        cursor = page.next_cursor
        if cursor is None:
            return


def _name(text: str) -> str:
    if not 1 <= len(text) <= 200:
        raise argparse.ArgumentTypeError("1 to 200 letters")
    try:
        return readable(text)
    except ValueError as unreadable:
        raise argparse.ArgumentTypeError(str(unreadable)) from unreadable


def _tenant(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", text):
        raise argparse.ArgumentTypeError("a tenant's name has lower-case letters, digits, - and _, at most 63")
    return text


def _days(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= _MOST_DAYS):
        raise argparse.ArgumentTypeError(f"a whole number of days, 1 to {_MOST_DAYS}")
    return int(text)
