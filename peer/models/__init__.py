"""Models out of the swarm: the average of replicas, its loss on a text, what it says, its files."""
