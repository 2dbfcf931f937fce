"""Our certificate for lanes, made anew at every start, and TLS contexts that know one peer's and no other."""

import ssl
from datetime import UTC, datetime
from tempfile import NamedTemporaryFile
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "murmuration lane")])
_FROM, _UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""An authenticated stream says whose it is, so that a peer whose clock is wrong is heard as well."""


class Certificate:
    """A self-signed certificate and its key.

    Attributes:
        der: the certificate, as the other side is told of it.
    """

    def __init__(self, der: bytes, pem: bytes) -> None:
        self.der = der
        self._pem = pem

    @classmethod
    def fresh(cls) -> Self:
        """Make one."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            x509.CertificateBuilder()
            .subject_name(_NAME)
            .issuer_name(_NAME)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_FROM)
            .not_valid_after(_UNTIL)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem = private + made.public_bytes(serialization.Encoding.PEM)
        return cls(made.public_bytes(serialization.Encoding.DER), pem)

    def calling(self, theirs: bytes) -> ssl.SSLContext:
        """Return a context to call who holds `theirs`. Raises as `answering`."""
        return self._only(ssl.PROTOCOL_TLS_CLIENT, theirs)

    def answering(self, theirs: bytes) -> ssl.SSLContext:
        """Return a context to answer who holds `theirs`.

        Raises:
            ValueError: that is no certificate, or the temporary folder cannot be used for ours.
        """
        context = self._only(ssl.PROTOCOL_TLS_SERVER, theirs)
        context.num_tickets = 0  # a session is never taken up again
        return context

    def _only(self, side: int, theirs: bytes) -> ssl.SSLContext:
        context = ssl.SSLContext(side)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cadata=theirs)
        except ssl.SSLError as error:
            raise ValueError(f"no certificate: {error}") from error
        # `ssl` reads keys from files alone. Only we can read this one, and it is gone at once.
        try:
            with NamedTemporaryFile(prefix="murmuration-lane-") as file:
                file.write(self._pem)
                file.flush()
                context.load_cert_chain(file.name)
        except OSError as error:
            raise ValueError(f"our own certificate cannot be read: {error.strerror}") from error
        return context
