"""A model brought to a scene that it was not made for, by a few labels on it: a training from its weights."""
