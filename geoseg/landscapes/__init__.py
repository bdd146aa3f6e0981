"""Landscape metrics of a class map: patches, edges and core areas."""
