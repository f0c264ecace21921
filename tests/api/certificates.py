"""Certificates for a test: an authority of its own, and servers that show good ones and bad ones."""

import datetime
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def name_of(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self.sign("Test Authority", self.key, is_authority=True)

    def sign(self, name, key, signer=None, is_authority=False, until=DAY):
        now = datetime.datetime.utcnow()
        issuer = "Test Authority" if is_authority or signer is None else name
        made = x509.CertificateBuilder().subject_name(name_of(name)).issuer_name(name_of(issuer)).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number()).not_valid_before(now - 30 * DAY).not_valid_after(now + until)
        made = made.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        if not is_authority:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return made.sign(signer or self.key, hashes.SHA256())

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def context(self, name, self_signed=False, until=DAY):
        """A server that shows a certificate for that name."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.sign(name, key, key if self_signed else None, until=until)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
            file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
            file.flush()
            context.load_cert_chain(file.name)
        return context
