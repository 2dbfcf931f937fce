"""A whole swarm on one machine: real peer processes over loopback, watched in one table."""
