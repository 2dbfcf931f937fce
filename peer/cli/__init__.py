"""The command `peer`: thin, one file a command group."""
