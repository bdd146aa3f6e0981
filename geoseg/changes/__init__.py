"""Transitions between two class maps."""
