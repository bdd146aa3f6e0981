"""Weights of an ONNX file by name: its initializers, read from the file's bytes; no graph is run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import InputError
from geoseg.models.foreign.protobuf import fields_of, inside, numbers

_GRAPH, _INITIALIZER = 7, 5  # fields of ModelProto and GraphProto
_DIMS, _TYPE, _NAME, _RAW = 1, 2, 8, 9  # fields of TensorProto
_TYPES = {1: "<f4", 6: "<i4", 7: "<i8", 10: "<f2", 11: "<f8"}  # TensorProto.DataType


def read_initializers(model: bytes) -> dict[str, NDArray[Any]]:
    """Arrays by name; those that lie in other files or are no plain numbers are left out.

    Raises
    ------
    InputError
        No ONNX model, or a damaged one.
    """
    try:
        graphs = inside(fields_of(memoryview(model)).get(_GRAPH, []))
        tensors = [t for g in graphs for t in inside(fields_of(g).get(_INITIALIZER, []))]
        found = dict(filter(None, map(_array, tensors)))
    except (ValueError, IndexError) as error:
        raise InputError("not an ONNX model", why=str(error)) from None
    if not found:
        raise InputError("not an ONNX model with its weights inside", why="no initializers found")
    return found


def _array(tensor: memoryview) -> tuple[str, NDArray[Any]] | None:
    fields = fields_of(tensor)
    raw, (kind,) = inside(fields.get(_RAW, [])), numbers(fields.get(_TYPE, [0]))
    if not raw or kind not in _TYPES:
        return None
    (name,) = inside(fields[_NAME])
    shape = numbers(fields.get(_DIMS, []))
    return bytes(name).decode(), np.frombuffer(raw[0], _TYPES[kind]).reshape(shape)
