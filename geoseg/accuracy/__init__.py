"""Accuracy of labels against a reference: counts that add up, scores as functions of them, calibration."""
