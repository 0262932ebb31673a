"""Text as it is compared: answers may differ from choices in case, spaces and punctuation."""

from __future__ import annotations

import re

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_WORD_JOINERS = re.compile(r"(?<=\w)[-_/](?=[^\W\d])")
# A point or a minus belongs to a number only before a digit; "%" and "+" always carry meaning.
_PUNCTUATION = re.compile(r"\.(?!\d)|[^\w\s.%+\-]|-(?!\.?\d)")


def normalise(text: str) -> str:
    """Fold case, spaces and punctuation, but keep what tells numbers apart: "-3", "3.5" and "3%" stay themselves.

    Text that is nothing but punctuation stays as it is, so that "<" and ">" differ.
    """
    folded = _WORD_JOINERS.sub(" ", _THOUSANDS.sub("", text.casefold()))
    folded = " ".join(_PUNCTUATION.sub(" ", folded).split()).replace(" %", "%")
    return folded or text.casefold().strip()
