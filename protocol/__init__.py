"""What crosses the wire, as pure bytes <-> values: no I/O, no trio, no torch, no libp2p."""
