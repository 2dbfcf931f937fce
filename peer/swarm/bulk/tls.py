"""TLS over a trio stream, many records at a time.

`trio.SSLStream` gives at most one record of 16 KiB a call, and most of what that costs is the call.
"""

import ssl

import trio
from trio.abc import Stream

_READ = 128 * 1024
_WRITE = 256 * 1024


class TlsStream:
    """An encrypted connection: one task may send while another receives.

    Methods raise `ssl.SSLError` and what the stream raises. After a call that was cancelled in the middle of
    sending the connection is of no more use.
    """

    def __init__(self, raw: Stream, context: ssl.SSLContext, *, server_side: bool) -> None:
        self._raw = raw
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)

    async def handshake(self) -> None:
        """Agree on keys, and check the other side's certificate. Nothing may be sent or received before."""
        done = False
        while not done:
            try:
                self._tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            finally:
                await self._flush()  # an alert too, where it failed
            if not done and not await self._fill():
                raise ssl.SSLEOFError("hung up in the handshake")

    @property
    def shown(self) -> bytes | None:
        """The certificate of the other side, DER."""
        return self._tls.getpeercert(binary_form=True)

    async def send_all(self, data: bytes | memoryview) -> None:
        """Send every byte, waiting for the stream."""
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view[:_WRITE]) :]
            await self._flush()

    async def receive_into(self, buffer: memoryview) -> int:
        """Fill a buffer as far as what has come allows; return its number of bytes, 0 at the end."""
        while not (size := self._decrypt(buffer)):
            if not await self._fill():
                return 0
        return size

    def _decrypt(self, buffer: memoryview) -> int:
        end = 0
        while end < len(buffer):
            try:
                # Python's own annotations leave out that `read` returns a number where it fills a buffer.
                size: int = self._tls.read(len(buffer) - end, buffer[end:])  # type: ignore[assignment]
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                break
            if not size:
                break
            end += size
        return end

    async def _fill(self) -> bool:
        data = await self._raw.receive_some(_READ)
        self._incoming.write(data)
        return bool(data)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._raw.send_all(self._outgoing.read())

    async def close(self) -> None:
        """Close at once."""
        await trio.aclose_forcefully(self._raw)
