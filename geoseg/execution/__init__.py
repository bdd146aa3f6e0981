"""Execution: run one function over many chunks, here or on Dask, and keep account of what is done."""

from geoseg.execution.outcome import Outcome
from geoseg.execution.run import run_chunks
from geoseg.execution.where import Where

__all__ = ["Outcome", "Where", "run_chunks"]
