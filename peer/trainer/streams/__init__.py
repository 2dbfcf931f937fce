"""Text that is read while training goes on: rows become tokens, tokens windows, and windows batches."""
