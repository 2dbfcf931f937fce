"""The outer rule: a local step on the slow weights, then additive mixes with other peers.

Pure functions on flat tensors of any float dtype and device. No I/O.
"""
