"""A stand-in for fastecdsa: the names that libp2p 0.8.1 imports, and no cryptography.

Only libp2p's secio transport calls fastecdsa, and every one of its calls asks for `curve.P256` first.
"""
