"""Words of others, such as the names in a dataset, as they may be shown."""


def printable(text: str) -> str:
    """One line: control characters, line breaks and turns of the writing direction become `�`."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
