"""What a peer tells the people who run it: events, metrics, and their formats."""
