"""Public models that are no part of geoseg: for each a recipe that makes a bundle of its files."""
