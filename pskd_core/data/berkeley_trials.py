"""How Berkeley-MHAD names its trials."""

import re
from typing import NamedTuple

from pskd_core.data.problems import Problem
from pskd_core.data.source import SourceFiles


class Trial(NamedTuple):
    """Numbers as the file names count them, from 1."""

    subject: int
    action: int
    repetition: int

    def __str__(self) -> str:
        return f"s{self.subject:02}_a{self.action:02}_r{self.repetition:02}"


def find_trials(
    files: SourceFiles, pattern: re.Pattern[str], problems: list[Problem], *, first: str | None = None
) -> dict[Trial, str]:
    """File names by trial; the last three groups of the pattern are its numbers, and `first`, if given, the first."""
    found: dict[Trial, str] = {}
    for name in files.names:
        match = pattern.search(name)
        if not match or (first is not None and match[1] != first):
            continue
        trial = Trial(*map(int, match.groups()[-3:]))
        if not (1 <= trial.subject <= 12 and 1 <= trial.action <= 11 and 1 <= trial.repetition <= 5):
            problems.append(Problem(severity="warning", detail="no trial of Berkeley-MHAD; left out", file=name))
        elif trial in found:
            detail = f"a second file of {trial}; {found[trial]} was taken"
            problems.append(Problem(severity="warning", detail=detail, file=name))
        else:
            found[trial] = name
    return found
