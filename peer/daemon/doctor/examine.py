"""One examination from beginning to end."""

import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from peer.daemon.client import ControlClient
from peer.daemon.doctor.findings import Finding, Number, Report, found, well
from peer.daemon.doctor.limits import look_at_limits
from peer.daemon.doctor.machine import inspect, look_at_device, look_at_disk
from peer.daemon.doctor.network import Visit
from peer.daemon.home import look_into
from peer.daemon.runtime import control_socket
from peer.daemon.settings import Settings, recall
from peer.errors import ListenError, ManifestMismatchError, NotRunningError, PeerError
from peer.paths import option_for
from peer.swarm.joining import fetch_manifest
from peer.swarm.libp2p_host import check_bootstraps, open_transport
from peer.swarm.transport import Contact, Transport, bare
from peer.swarm.upnp import RouterPort
from protocol.identity import SEED_BYTES, Identity
from protocol.manifest import Manifest, SignedManifest, open_manifest


async def examine(settings: Settings) -> Report:
    """Look at everything that `peer start` with these settings would need, without joining.

    It listens where `peer start` would, under a PeerID of its own. Where the home's own daemon has
    the port, it looks at no more than this machine.

    Raises:
        UsageError: a bootstrap is no address of a peer.
    """
    check_bootstraps(settings.bootstraps)
    findings: list[Finding] = []
    held = _held(settings, findings)
    manifest = None if held is None else open_manifest(held)
    async with AsyncExitStack() as stack:
        transport = await _listen(stack, settings, findings)
        if not settings.bootstraps:
            findings.append(
                _unvisited("no bootstrap was named, so nothing beyond this machine was looked at")
            )
        elif transport is None:
            again = f"peer doctor{option_for(settings.home)} (again, once the port is free)"
            findings.append(_unvisited("no bootstrap was looked at, as the port cannot be used", again))
        else:
            theirs = await _fetch(transport, settings, held, findings)
            if theirs is not None:
                manifest = open_manifest(theirs)
                findings += await _visit(transport, settings, theirs, manifest)
    findings.append(look_at_disk(settings.home, manifest))
    seen = await inspect(settings.device)
    findings += look_at_device(seen, manifest)
    findings += await look_at_limits(settings.home, manifest, seen)
    return Report(tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.check))))


_ORDER = (
    "clock", "disk", "device", "limits", "home", "port", "manifest", "dial-back", "nat", "relay", "bandwidth",
    "dht",
)  # fmt: skip


def _held(settings: Settings, findings: list[Finding]) -> SignedManifest | None:
    try:
        return look_into(settings.home)
    except PeerError as error:
        findings.append(found("home", Number.HOME, "failure", error.message, mend=error.remedy))
        return None


async def _listen(stack: AsyncExitStack, settings: Settings, findings: list[Finding]) -> Transport | None:
    port = recall(settings.home).port or 0
    listen = settings.listen or (f"/ip4/0.0.0.0/tcp/{port}",)
    opening = open_transport(
        Identity(secrets.token_bytes(SEED_BYTES)),
        listen,
        announce=settings.announce,
        announce_loopback=settings.announce_loopback,
    )
    try:
        transport = await stack.enter_async_context(opening)
    except ListenError as error:
        findings.append(_taken(error, settings.home, listen))
        return None
    findings.append(well("port", f"listens on {', '.join(listen)}"))
    return transport


def _taken(error: ListenError, home: Path, listen: Sequence[str]) -> Finding:
    port = recall(home).port
    if any(address.endswith(f"/tcp/{port}") for address in listen) and _runs(home):
        named = option_for(home)
        said = "this home's daemon runs and has the port, so how others reach it was not tried"
        return found(
            "port",
            Number.PORT,
            "note",
            said,
            mend=f"peer status{named} (or peer stop{named}, then peer doctor{named})",
        )
    return found("port", Number.PORT, "failure", error.message, mend=error.remedy)


def _runs(home: Path) -> bool:
    try:
        with ControlClient(control_socket(home)):
            return True
    except NotRunningError:
        return False


async def _fetch(
    transport: Transport, settings: Settings, held: SignedManifest | None, findings: list[Finding]
) -> SignedManifest | None:
    try:
        sealed = await fetch_manifest(transport, settings.bootstraps, held, attempts=1)
    except ManifestMismatchError as error:
        findings.append(found("manifest", Number.MANIFEST, "failure", error.message, mend=error.remedy))
        return None
    except PeerError as error:
        findings.append(found("manifest", Number.NO_BOOTSTRAP, "failure", error.message, mend=error.remedy))
        return None
    findings.append(well("manifest", f"run {open_manifest(sealed).name!r} ({sealed.run_id.hex()[:12]})"))
    return sealed


async def _visit(
    transport: Transport, settings: Settings, sealed: SignedManifest, manifest: Manifest
) -> list[Finding]:
    near = [
        Contact(address.rpartition("/p2p/")[2], (bare(address),))
        for address in settings.bootstraps
        if address.rpartition("/p2p/")[2] in transport.connected()
    ]
    mapper = RouterPort() if settings.upnp else None
    return await Visit(transport, sealed.run_id, manifest).look(near, mapper)


def _unvisited(said: str, mend: str = "") -> Finding:
    return found("manifest", Number.NO_BOOTSTRAP, "note", said, mend=mend)
