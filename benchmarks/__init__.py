"""Timings side by side with other tools; they print tables and never pass or fail on seconds."""
