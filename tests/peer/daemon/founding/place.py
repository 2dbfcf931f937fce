"""A peer that is about to settle, over memory links."""

from peer.daemon.founding import settle
from peer.daemon.settings import Settings
from peer.simulate.network import Network
from peer.swarm.service import Service
from protocol.identity import Identity
from protocol.manifest import Inner, Manifest, Model, sign
from protocol.messages import STREAM_PROTOCOL, AskManifest, ManifestIs

FOUNDER, OTHER, NEWCOMER = (Identity(bytes([number]) * 32) for number in range(3))
MANIFEST = Manifest(founder=FOUNDER.public_key, name="theirs", model=Model(layers=4), inner=Inner(batch=8))
SEALED = sign(MANIFEST, FOUNDER)
THEIRS = 'name = "theirs"\n[model]\nlayers = 4\n[inner]\nbatch = 8\n'
DOWN = f"/memory/{OTHER.peer_id}/p2p/{OTHER.peer_id}"


class Place:
    """A network with one peer that is about to settle, and others that hold manifests."""

    def __init__(self, nursery, home):
        self._nursery = nursery
        self._network = Network()
        self._home = home
        self._transport = self._network.add(NEWCOMER.peer_id)

    def holder(self, identity, sealed=SEALED):
        """Bring up a peer that shows this manifest; return its address."""
        transport, service = self._network.add(identity.peer_id), Service(sealed.run_id)

        async def show(caller, call):
            return ManifestIs(manifest=sealed)

        service.serve(AskManifest, show)
        transport.handle(STREAM_PROTOCOL, service.handle)
        self._nursery.start_soon(transport.serve)
        return transport.addresses[0]

    async def settle(self, **settings):
        return await settle(self._home, NEWCOMER, self._transport, Settings(self._home.path, **settings))
