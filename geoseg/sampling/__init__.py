"""Samples of a map: designed, drawn, labelled by people, and kept in one file."""
