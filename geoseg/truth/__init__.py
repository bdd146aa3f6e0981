"""Truth: what is known about the classes on the ground, from a raster, polygons or points, on a grid."""
