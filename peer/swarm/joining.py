"""Before a peer belongs to a run: get the manifest from the swarm, and see that it is the one expected."""

from collections.abc import Sequence

import trio

from peer.errors import BootstrapError, ManifestMismatchError
from peer.swarm.calls import RefusedError, ask
from peer.swarm.transport import Contact, Transport, TransportError, bare
from protocol.errors import ProtocolError
from protocol.manifest import SignedManifest, differences, open_manifest
from protocol.messages import AskManifest, ManifestIs
from protocol.rules import admit

ATTEMPTS = 3
RETRY = 2.0
"""Seconds between rounds over the bootstraps: one that restarts is back by then."""


async def fetch_manifest(
    transport: Transport,
    bootstraps: Sequence[str],
    mine: SignedManifest | None,
    *,
    attempts: int = ATTEMPTS,
) -> SignedManifest:
    """Return the manifest of the run that the bootstraps belong to, checked.

    Raises:
        BootstrapError: none of them answered with a good manifest.
        ManifestMismatchError: it is not `mine`; the differing fields are named.
    """
    failures: dict[str, str] = {}
    for attempt in range(attempts):
        if attempt:
            await trio.sleep(RETRY)
        for address in bootstraps:
            try:
                theirs = await _ask_one(transport, address, mine)
            except (TransportError, ProtocolError, RefusedError, trio.TooSlowError) as error:
                failures[address] = str(error) or "no answer in time"
                continue
            if mine is not None:
                compare(mine, theirs, address)
            return theirs
    detail = "; ".join(f"{address}: {reason}" for address, reason in failures.items())
    raise BootstrapError(
        f"No bootstrap gave a manifest ({detail})",
        "Check the address with its operator, or name another peer of the run with --bootstrap",
    )


def compare(mine: SignedManifest, theirs: SignedManifest, where: str) -> None:
    """See that two manifests are one.

    Raises:
        ManifestMismatchError: they are not; each differing field is named with both values.
    """
    if mine.run_id == theirs.run_id:
        return
    fields = "; ".join(differences(open_manifest(mine), open_manifest(theirs)))
    raise ManifestMismatchError(
        f"The run at {where} is not this home's run. It differs in {fields}",
        "Use another --home to join that run, or leave out --bootstrap to go on with this home's",
    )


async def _ask_one(transport: Transport, address: str, mine: SignedManifest | None) -> SignedManifest:
    with trio.fail_after(15):
        peer_id = await transport.dial(address)
        contact = Contact(peer_id, (bare(address),))
        answer = await ask(transport, contact, b"", AskManifest(mine=mine), ManifestIs)
    admit(answer.manifest)
    return answer.manifest
