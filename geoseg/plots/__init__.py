"""Class areas and losses of a map, a change or a series within plots."""
