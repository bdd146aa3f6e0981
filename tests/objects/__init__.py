"""Objects over tiles and chunks."""
