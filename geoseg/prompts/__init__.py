"""Objects that somebody points at: points and boxes of a layer answered by a promptable network."""
