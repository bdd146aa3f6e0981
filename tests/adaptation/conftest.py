"""Trainings paint no pictures here either."""

from tests.training.conftest import unpainted

__all__ = ["unpainted"]
