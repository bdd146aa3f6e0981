"""Geometries as a GeoPackage holds them."""

from __future__ import annotations

_HEADER, _BOXES = 8, (0, 32, 48, 48, 64)  # bytes of the header, and of its boxes by kind


def well_known_binary(blob: bytes | None) -> bytes:
    """Well-known binary of a GeoPackage geometry; empty where there is none."""
    if not blob:
        return b""
    return blob[_HEADER + _BOXES[min(blob[3] >> 1 & 0b111, 4)] :]
