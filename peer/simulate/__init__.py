"""The swarm in one process: the real pairing and exchange code over modelled links and a virtual clock."""
