"""The governor: makes room for the other users of a machine. It reads sensors and decides."""
