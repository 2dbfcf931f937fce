"""`peer doctor`: looks before joining at everything that keeps a peer from training with others."""
