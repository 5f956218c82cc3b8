"""The teachers' answers of one run, from the object store and back. Trouble with them costs time, never the run."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy.orm import Session

from store import answers
from store.errors import ObjectDamaged, ObjectMissing
from store.objects import ObjectStore, size_of

T = TypeVar("T")


@dataclass(frozen=True)
class KeptAnswers:
    """Where they are, under which key, and how the run shows meanwhile that it is alive."""

    objects: ObjectStore
    tenant: str
    key: str
    folder: Path  # the run's own, for unfinished files
    limit_bytes: int  # of all that is kept
    write: "Callable[[Callable[[Session], T]], T]"
    warn: Callable[[str], None]
    alive: Callable[[], None]

    @property
    def _left(self) -> Path:
        return self.folder / "answers"

    def fetch(self) -> Path:
        """The folder that the answers lie in if they are kept, else the one in which the run is to leave them."""
        tree = self.write(lambda session: answers.find(session, self.key, tenant=self.tenant))
        if tree is None:
            return self._left
        own = self.folder / "kept-answers"
        try:
            self.objects.fetch_tree(tree, own, on_file=self.alive)
        except (OSError, ObjectMissing, ObjectDamaged) as lost:
            shutil.rmtree(own, ignore_errors=True)
            if isinstance(lost, ObjectDamaged):  # or the same bytes, stored again, would be taken to be there
                with suppress(ObjectDamaged):
                    self.objects.delete_tree(tree)
            self.warn(f"the teachers train again, since their kept answers cannot be had: {lost}")
            return self._left
        return own

    def leave(self) -> None:
        """Store what the run has left, if anything, and delete what has to make room for it."""
        if not self._left.exists():
            return
        try:
            size_bytes = size_of(self._left)
            tree = self.objects.put_tree(self._left, on_file=self.alive)
            for digest in self.write(lambda session: self._keep(session, tree, size_bytes)):
                self.objects.delete_tree(digest)
        except (OSError, ObjectDamaged) as trouble:
            self.warn(f"the teachers' answers are not kept: {trouble}")
        finally:
            shutil.rmtree(self._left)

    def _keep(self, session: Session, tree: str, size_bytes: int) -> list[str]:
        return answers.keep(
            session,
            self.key,
            tenant=self.tenant,
            tree_digest=tree,
            size_bytes=size_bytes,
            limit_bytes=self.limit_bytes,
        )
