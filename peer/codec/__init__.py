"""Codecs: tensors to bytes and back, each with a statement of its error."""
