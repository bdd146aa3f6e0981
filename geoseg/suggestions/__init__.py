"""Which squares of a scene to label next: where the model is unsure, and unlike each other."""
