"""What `from peer import ...` gives programs: runs, peers, and what goes with them."""
