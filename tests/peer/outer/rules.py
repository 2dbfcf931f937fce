"""Rules that tests run: the presets, one that shares what no preset does, and other ways to land."""

from dataclasses import replace

from peer.outer.rule import PRESETS, Rule

TWO_TENSORS = Rule("two-tensors", "nesterov", ("phi", "momentum"), alpha=0.9, beta=0.7, overlap=True, mixes=4)
"""Shares what the outer step made, where all presets share what it was taken with."""

PUBLISHED = replace(PRESETS["streaming-diloco"], name="streaming-diloco-published", keep=0.5, by_delay=False)
"""As Streaming DiLoCo blends: by a constant."""

RULES = {**PRESETS, TWO_TENSORS.name: TWO_TENSORS, PUBLISHED.name: PUBLISHED}

ADDED = replace(PRESETS["gossip"], name="added", keep=None, by_delay=False, warming=0)
"""`gossip` whose mixes are added as `noloco`'s are."""

ADDING = {"noloco": PRESETS["noloco"], "added": ADDED, "two-tensors": TWO_TENSORS}
