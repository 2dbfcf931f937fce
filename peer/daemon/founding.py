"""Which run a daemon belongs to: the one its home holds, the one its bootstraps show it, or a new one."""

import hashlib
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from peer.config.run_file import RunFile, read_run_file
from peer.config.sources import Source
from peer.daemon import disk
from peer.daemon.describing import (
    Account,
    check_base,
    check_data,
    check_task,
    describe,
    describe_data,
    hash_of,
)
from peer.daemon.home import Home
from peer.daemon.limits_file import read_limits
from peer.daemon.settings import Settings, recall, recall_data, remember
from peer.errors import (
    BootstrapError,
    DataError,
    ManifestInvalidError,
    ManifestMismatchError,
    RunFileError,
)
from peer.paths import folder_or_name
from peer.swarm.joining import fetch_manifest
from peer.swarm.swarm import Run
from peer.swarm.transport import Transport
from protocol.describe import Described
from protocol.errors import ProtocolError
from protocol.identity import Identity
from protocol.manifest import Manifest, Part, SignedManifest, differences, sign
from protocol.rules import admit, violations


async def settle(home: Home, identity: Identity, transport: Transport, settings: Settings) -> Run:
    """Return the run, and write its manifest to the home.

    Whom a new home joins through is remembered before they are asked: who is stopped while joining goes on
    joining. Others are remembered once they have shown this home's run.

    Raises:
        PeerError: the run file is wrong, the bootstraps do not answer, or manifests differ that should not.
    """
    wanted = read_run_file(settings.run_file) if settings.run_file else None
    held = home.read_manifest()
    if held is not None:
        _admit(held)
    bootstraps = settings.bootstraps
    if not bootstraps and (held is not None or wanted is None):
        bootstraps = recall(home.path).bootstraps
    if held is None:
        _remember(home, bootstraps)
    answered = await _from_swarm(transport, bootstraps, held, asked_for=bool(settings.bootstraps))
    known = answered or held
    account = _account(home, settings)
    sealed = known or await _found(wanted, identity, account)
    manifest = _admit(sealed)
    if wanted is not None:
        _compare(wanted, manifest)
    _check_places(settings.data_paths, manifest)
    disk.check(home.path, manifest)
    if known is not None:
        data = recall_data(home.path, local_paths(settings, wanted)[0], manifest.data.places)
        await check_data(manifest, data, content=held is None)
        place = base_model(settings, wanted) or recall(home.path).model_path
        await check_base(manifest, place, account)
        await check_task(manifest, allowed_task(settings, wanted) or recall(home.path).allowed_task)
    home.write_manifest(sealed)
    if answered is not None:
        _remember(home, bootstraps)
    return Run(sealed, manifest, bootstraps, home.read_peers)


def _remember(home: Home, bootstraps: tuple[str, ...]) -> None:
    remember(home.path, replace(recall(home.path), bootstraps=bootstraps))


async def _from_swarm(
    transport: Transport, bootstraps: tuple[str, ...], held: SignedManifest | None, *, asked_for: bool
) -> SignedManifest | None:
    if not bootstraps:
        return None
    if held is None:
        try:
            return await fetch_manifest(transport, bootstraps, None)
        except BootstrapError as error:
            if asked_for:
                raise
            raise BootstrapError(
                f"{error.message}. The address is remembered in this home, which has not joined a run yet",
                "Name another with --bootstrap, or found a run: with --run, or in another --home",
            ) from error
    # The home knows its run. Bootstraps that are down now are tried again later, with the cached peers.
    # Nor do those stop it that were of use once, and are of another run by now.
    with suppress(BootstrapError, *(() if asked_for else (ManifestMismatchError,))):
        return await fetch_manifest(transport, bootstraps, held, attempts=1)
    return None


def _account(home: Home, settings: Settings) -> Account:
    return Account(home.path, min(read_limits(home.path).download, settings.download_limit))


async def _found(wanted: RunFile | None, identity: Identity, account: Account) -> SignedManifest:
    if wanted is None:
        return sign(Manifest(founder=identity.public_key), identity)
    parts = [await _look_at(wanted, source, account) for source in wanted.sources]
    manifest = wanted.manifest(
        identity.public_key,
        parts=tuple(parts),
        tokenizer_sha256=_file_hash(wanted.tokenizer_path, "tokenizer.path"),
        weights_sha256=_file_hash(wanted.weights_path, "model.path"),
        described=await describe(wanted, account),
    )
    if broken := violations(manifest):
        raise RunFileError(f"{wanted.path}: {'; '.join(map(str, broken))}", "Correct the file and try again")
    return sign(manifest, identity)


async def _look_at(wanted: RunFile, source: Source, account: Account) -> Part:
    if source.streamed is not None:
        return source.part(dataset=await describe_data(wanted, source.streamed, account))
    return source.part(await hash_of(source.kind, source.path))


def _file_hash(path: Path | None, key: str) -> bytes | None:
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"Cannot read {path} ({error.strerror})", f"Check {key} in the run file") from error


def _admit(sealed: SignedManifest) -> Manifest:
    try:
        return admit(sealed)
    except ProtocolError as error:
        raise ManifestInvalidError(
            f"The run's manifest is not valid: {error}", "Join another run, or ask its founder to mend it"
        ) from error


def _compare(wanted: RunFile, manifest: Manifest) -> None:
    """See that a run file given beside an existing run says the same; founder and hashes are not in it."""
    expected = wanted.manifest(
        manifest.founder,
        parts=_as_found(wanted, manifest.data.parts),
        tokenizer_sha256=manifest.tokenizer.sha256,
        weights_sha256=manifest.model.sha256,
        described=_as_described(wanted, manifest),
    )
    fields = differences(expected, manifest)
    if fields:
        raise ManifestMismatchError(
            f"{wanted.path} is not the run that this peer belongs to. It differs in {'; '.join(fields)}",
            "Leave out --run, or use another --home to found that run",
        )


def _check_places(given: tuple[Path, ...], manifest: Manifest) -> None:
    """See that the data named on the command line is there, and that the run reads so much of this host."""
    needed = 0 if manifest.task else manifest.data.places
    if len(given) > needed:
        reads = f"only {needed} of this host" if needed else "nothing of this host"
        raise DataError(
            f"--data names {given[needed]}, and the run {manifest.name!r} reads {reads}",
            "Leave it out; or found a run on a text of yours: `peer init`, then [data] in the run.toml",
        )
    for path in given:
        if not path.exists():
            raise DataError(f"No data is at {path}", "Name with --data where this host keeps the run's text")


def _as_found(wanted: RunFile, found: tuple[Part, ...]) -> tuple[Part, ...]:
    """Take from the manifest what only a look at the data finds, likewise."""
    if len(found) != len(wanted.sources):
        return tuple(source.part() for source in wanted.sources)
    return tuple(source.like(part) for source, part in zip(wanted.sources, found, strict=True))


def _as_described(wanted: RunFile, manifest: Manifest) -> Described:
    """Take from the manifest what only a look at the model finds, but for what the run file says itself."""
    pretrained = manifest.model.pretrained or None
    if wanted.base is None:
        pretrained = None
    elif pretrained is not None:
        lora, theirs = wanted.base.lora, pretrained.lora
        if lora is not None and theirs is not None and not lora.targets:
            lora = replace(lora, targets=theirs.targets)
        pretrained = replace(pretrained, lora=lora)
    task = manifest.task or None
    if wanted.task is None:
        task = None
    elif task is not None:
        task = replace(task, name=wanted.task.name, settings=wanted.task.settings)
    return Described(pretrained=pretrained, tokenizer=manifest.tokenizer, task=task)


def local_paths(settings: Settings, wanted: RunFile | None) -> tuple[tuple[str, ...], Path | None]:
    """Return where this host keeps data and tokenizer, by the command line first, then by the run file.

    The paths are absolute: they are remembered, and the next start may be from another folder.
    """
    data = settings.data_paths or (tuple(map(Path, wanted.data_paths)) if wanted else ())
    tokenizer = settings.tokenizer_path or (wanted.tokenizer_path if wanted else None)
    return tuple(str(path.absolute()) for path in data), tokenizer and tokenizer.absolute()


def base_model(settings: Settings, wanted: RunFile | None) -> str | None:
    """Return where this host has the base model, in the same order: an absolute folder, or a Hub name."""
    named = settings.model or (wanted.base.source if wanted and wanted.base else None)
    return None if named is None else folder_or_name(named)


def allowed_task(settings: Settings, wanted: RunFile | None) -> str | None:
    """Return the task that this host's owner has named, and so lets run, in the same order."""
    return settings.task or (wanted.task.name if wanted and wanted.task else None)
