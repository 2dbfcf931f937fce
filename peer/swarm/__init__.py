"""The network side: identity, host, discovery, pairing, exchange, state sync. Imports no torch."""
