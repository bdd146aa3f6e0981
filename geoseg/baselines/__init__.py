"""Baselines without weights: rules fitted to a scene in one look, saved as bundles."""
