"""Rows laid into an SQLite file as whole pages: `rows.lay_rows` is all that others use.

An insert through GDAL or SQLite costs more than tracing the polygon. Rows come in order and their boxes are
known, so nothing of what an insert does is needed: see docs/adr/0008-polygons-are-laid-as-pages.md.
"""
