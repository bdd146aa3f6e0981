"""Accuracy and areas estimated from a labelled probability sample."""
