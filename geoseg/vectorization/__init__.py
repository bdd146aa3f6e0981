"""Polygons of class maps: traced per chunk, chained over seams, written as a stream."""
