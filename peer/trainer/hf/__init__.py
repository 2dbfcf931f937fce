"""Models of `transformers` in place of the built-in one, whole or with LoRA adapters."""
