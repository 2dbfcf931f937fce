"""The supervisor: owns the home folder, the nursery and the two processes."""
