"""Rules that tests run: the presets, and one that shares what no preset does."""

from peer.outer.rule import PRESETS, Rule

TWO_TENSORS = Rule("two-tensors", "nesterov", ("phi", "momentum"), alpha=0.9, beta=0.7, overlap=True, mixes=4)
"""Shares what the outer step made, where all presets share what it was taken with."""

RULES = {**PRESETS, TWO_TENSORS.name: TWO_TENSORS}
