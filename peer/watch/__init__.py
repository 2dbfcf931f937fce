"""`peer top`: looks at a running daemon, and shows what it sees as a screen or as lines."""
