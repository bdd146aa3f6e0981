"""The synthetic frontier scene and the demo that runs the whole chain over it."""
