"""`python -m peer`: the command, where its script is not on the path."""

from peer.cli.main import run

if __name__ == "__main__":
    run()
