"""Checks of single values that come from outside, each with a sentence for the one that is wrong."""

from __future__ import annotations

import reprlib
from numbers import Integral, Real

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def shown(value: object) -> str:
    """`value` as an error may show it, however long it is."""
    try:
        return _SHORT.repr(value)
    except ValueError:
        # Python refuses to write down integers of more than 4,300 digits.
        return f"an {type(value).__name__} of thousands of digits"


def require_whole_number(name: str, value: object) -> None:
    """Raise ValueError unless `value` is an integer; True and False are none, nor is 2.0."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"{name} is {shown(value)}, but must be a whole number.")


def require_number(name: str, value: object) -> None:
    """Raise ValueError unless `value` is a real number; infinities and NaN are for the caller's bounds to refuse."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name} is {shown(value)}, but must be a number.")


def require_text(name: str, value: object) -> None:
    """Raise ValueError unless `value` is a string."""
    if not isinstance(value, str):
        raise ValueError(f"{name} is {shown(value)}, but must be a text.")


def require_switch(name: str, value: object) -> None:
    """Raise ValueError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {shown(value)}, but must be true or false.")
