"""Models: architectures by name, bundles on disk, and the input that a model takes."""
