"""The client that is awaited has what the other one has."""

import inspect

from client.api import Client
from client.asynchronous import AsyncClient


def test_it_has_the_methods_of_the_other() -> None:
    """Each by the same name, to be awaited or iterated as the other is called or iterated, with the same parameters."""
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if name.startswith("_"):
            continue
        awaited = getattr(AsyncClient, name)
        iterates = "Iterator" in str(inspect.signature(method).return_annotation)
        assert iterates != inspect.iscoroutinefunction(awaited), name
        if name != "live":  # whose samples are awaited too
            assert list(inspect.signature(awaited).parameters) == list(inspect.signature(method).parameters), name
