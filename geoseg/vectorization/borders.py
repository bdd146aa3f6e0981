"""Shared borders of a class map: found once in the lattice of pixel corners, not once per polygon.

A border runs between two pixels of different class. Corners where three or four borders meet are nodes, and
so is every corner where a border crosses a line of a fixed lattice of cells. Between two nodes a border is a
chain, which the regions on both of its sides share; `simplify` thins it once, for both.
"""

from __future__ import annotations
