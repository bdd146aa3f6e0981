"""Initializers read without ONNX's own library, against that library."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from geoseg.errors import InputError
from geoseg.models.foreign.onnx_weights import read_initializers

ARRAYS = {
    "model.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "half": np.array([0.5, -2.0], np.float16),
    "shape": np.array([1, -1, 2**40], np.int64),
    "one": np.array(3.0, np.float32),
}


def model() -> bytes:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])]
    node = helper.make_node("Identity", ["x"], ["y"])
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])]
    tensors = [numpy_helper.from_array(a, name) for name, a in ARRAYS.items()]
    made = helper.make_model(helper.make_graph([node], "g", inputs, outputs, tensors))
    onnx.checker.check_model(made)
    return made.SerializeToString()


def test_names_shapes_types_and_values():
    found = read_initializers(model())
    assert found.keys() == ARRAYS.keys()
    for name, expected in ARRAYS.items():
        assert found[name].dtype == expected.dtype
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].shape == expected.shape


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"PK\x03\x04 no model at all", model()[:-7]])
def test_anything_else_is_an_error_in_words(content):
    with pytest.raises(InputError, match="not an ONNX model"):
        read_initializers(content)
