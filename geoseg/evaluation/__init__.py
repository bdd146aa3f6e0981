"""Scores of a class map against a reference, raster or vector."""
