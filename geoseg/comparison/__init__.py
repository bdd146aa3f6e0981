"""Models side by side on one scene with a reference: scores, speed and novelty, through the verbs."""
