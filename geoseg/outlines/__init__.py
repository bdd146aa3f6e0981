"""Arrays to geometry: regions of a chunk traced, joined over chunks, simplified and smoothed. Pure."""

from typing import Literal

Method = Literal["visvalingam", "douglas-peucker"]
"""Order in which the vertices of simplified borders go."""
