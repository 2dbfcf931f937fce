"""Writes those parts of the docs that stand in the code already, so that they cannot go stale."""
