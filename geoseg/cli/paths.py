"""Paths on the command line."""

from __future__ import annotations

import os
from typing import Any

import click


class FilePath(click.Path):
    """Type of a path; empty text, which a shell gives for a variable that is not set, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Path of a text; usage error where it is empty."""
        if not os.fspath(value):
            self.fail("is empty.", param, ctx)
        return super().convert(value, param, ctx)
