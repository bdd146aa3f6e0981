"""Loops over pixels, corners and bytes, compiled ahead of time: see `kernel`."""

from geoseg.kernels.kernel import kernel

__all__ = ["kernel"]
