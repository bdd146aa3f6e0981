"""Engines: what runs a bundle's network, raw tiles in, labels or probabilities out."""
