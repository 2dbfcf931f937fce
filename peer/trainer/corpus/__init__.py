"""The embedded texts; NOTICE names their sources and rights."""
