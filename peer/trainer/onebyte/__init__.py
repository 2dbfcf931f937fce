"""Fine-tuning by forward passes only: one byte a perturbation, and a set of votes that all add up alike."""
