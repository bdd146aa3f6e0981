"""The version of geoseg, for every file that names who wrote it."""

__version__ = "0.1.0"
