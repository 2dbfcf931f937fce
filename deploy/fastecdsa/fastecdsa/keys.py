"""Key generation; libp2p imports the module and calls nothing in it without a curve."""
