"""Rasters: scenes in, class maps out, and vectors brought onto a raster's grid."""
