"""Training: labelled scenes in, a model bundle with its card out; killed at any moment, it resumes."""
