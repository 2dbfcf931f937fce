"""Upper bounds on everything that a stranger can make us hold; each is checked before memory is taken."""

MAX_MESSAGE = 256 * 1024
"""Bytes of one control message: a full peer exchange of the largest records fits."""

MAX_CHUNK = 8 * 1024 * 1024
"""Bytes of one pulled range (DESIGN.md section 6)."""

MAX_MANIFEST = 16 * 1024
"""Bytes of a manifest's canonical encoding."""

MAX_OBJECT = 1 << 36
"""Bytes of one shared object: 64 GiB, two fp32 tensors of 8 G parameters."""

MAX_ADDRESSES = 16
"""Addresses in a peer's record."""

MAX_ADDRESS = 256
"""Characters of one address."""

MAX_RECORDS = 32
"""Peer records in one peer exchange."""

MAX_REASON = 512
"""Characters of a refusal's reason."""

MAX_RECORD = 6 * 1024
"""Bytes of a peer record: 16 addresses of 256 characters, and the rest."""

MAX_STORED = 7 * 1024
"""Bytes of a value in the DHT: a signed record."""

MAX_CHUNKS = 4096
"""Chunks of a donor's state: their hashes fit into one message."""

MAX_INDEX = 32 * MAX_CHUNKS + 1024
"""Bytes of a state's index: a hash a chunk, and the rest."""

MAX_NAMED = 8
"""Peers that a donor without a free place names in its stead."""

MAX_STANDING = 64
"""What the share of a peer counts for that is no newcomer; a newcomer begins at 0."""

MAX_PROGRESS = 1 << 53
"""The most inner steps, outer steps or tokens that a peer may claim: whole numbers that a float64 holds."""

MAX_GROUP = 64
"""Members of one group: each opens streams to all others, and a share is cut into as many parts."""

MAX_VOTERS = 512
"""Voters whose votes count in a `onebyte` run."""

MAX_VOTES = 1 << 19
"""Votes of one voter, a byte each; with `MAX_VOTERS` of them a ledger takes 256 MiB."""
