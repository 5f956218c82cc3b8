"""Completion in a shell, as `--install-completion` sets it up."""

import os
import subprocess

import pytest

from tests.meta.project import BIN


def completed(words: str, **variables: str) -> list[str]:
    """What a shell is offered for the last word."""
    return subprocess.run(
        [BIN / "pskd"], env={**os.environ, **variables}, input=words, capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [("pskd le", ["leaderboard"]), ("pskd dataset t", ["template"]), ("pskd classify --smo", ["--smooth-s"])],
)
def test_bash_is_offered_commands_and_options(words: str, offered: list[str]) -> None:
    """At every depth, what begins as the word does."""
    last = str(len(words.split()) - 1)
    assert completed("", COMP_WORDS=words, COMP_CWORD=last, _PSKD_COMPLETE="complete_bash") == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    """What `--install-completion` writes into the shell's files asks this program."""
    assert "_PSKD_COMPLETE" in " ".join(completed("", _PSKD_COMPLETE=f"source_{shell}"))
