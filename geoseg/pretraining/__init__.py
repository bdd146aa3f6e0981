"""An encoder that learns from unlabelled scenes what the same place looks like."""
