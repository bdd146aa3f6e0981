"""4-connected regions of class maps far larger than memory, for whoever needs whole objects."""
