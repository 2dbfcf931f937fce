"""Several devices of one host as one peer: rank 0 is the trainer, and the others compute with it."""
