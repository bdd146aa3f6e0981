"""Prediction: scene in, stitched class map out, one chunk at a time."""
