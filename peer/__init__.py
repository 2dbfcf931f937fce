"""The daemon that trains one language model together with strangers: no server, no leader, no barrier."""
