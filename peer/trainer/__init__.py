"""The trainer: a process of its own that owns the device. Imports no trio and no libp2p."""
