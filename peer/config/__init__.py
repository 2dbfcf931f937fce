"""What a person writes in `run.toml`, and the manifest that it makes."""
