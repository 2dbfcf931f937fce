"""What this machine can tell of itself. Readers block, so they run in threads."""
