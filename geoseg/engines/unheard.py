"""Silence around libraries that talk about themselves while they write a network."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unheard() -> Iterator[None]:
    """Context whose warnings and messages nobody is shown; errors are raised and logged as ever.

    What a library says there of ranges, constants or versions names nothing that its user knows. What it
    does to labels is measured afterwards, beside the network that another one was made of, and told.
    """
    root, silent = logging.getLogger(), logging.NullHandler()
    before = root.manager.disable
    root.addHandler(silent)  # else a word to the root logger gives that a handler of its own, for good
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        root.removeHandler(silent)
