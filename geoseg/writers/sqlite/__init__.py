"""Rows laid into an SQLite file as whole pages."""
