"""Engines: what runs a bundle's network, raw tiles in, labels or probabilities out."""

import os

# official builds of ONNX Runtime else report every network that they open, and keep a database for it
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
