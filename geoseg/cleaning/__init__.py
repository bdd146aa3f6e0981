"""Class maps made calmer: filters and small regions, out of core and the same for any chunks."""
