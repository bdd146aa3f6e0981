"""The maps and layers of the evaluation's tests."""

from tests.evaluation.conftest import make_map, make_vector

__all__ = ["make_map", "make_vector"]
