"""Certificates and NKeys for the suites: made for each run, by openssl and from random bytes.

`papers.py FOLDER` makes the certificates for a suite in another language, which finds them by their names.
"""

import base64
import os
import subprocess
import sys


class Papers:
    """An authority, a certificate of the server for 127.0.0.1 and localhost, and one of a client."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = self._path("ca.pem")
        self._key("ca")
        self._openssl("req", "-x509", "-new", "-key", self._path("ca.key"), "-subj", "/CN=authority", "-days", "2",
                      "-addext", "basicConstraints=critical,CA:true", "-out", self.ca)
        self.server = self._signed("server", "/CN=server", "subjectAltName=IP:127.0.0.1,DNS:localhost\n"
                                   "extendedKeyUsage=serverAuth")
        self.client = self._signed("client", "/CN=client/O=Acme", "subjectAltName=email:ann@example.org\n"
                                   "extendedKeyUsage=clientAuth")

    def _path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def _openssl(*words):
        subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL, capture_output=True)

    def _key(self, name):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self._path(f"{name}.key"))

    def _signed(self, name, subject, extensions):
        """The paths of a certificate and its key."""
        certificate, key, request = (self._path(f"{name}.{end}") for end in ("pem", "key", "csr"))
        with open(self._path(f"{name}.ext"), "w", encoding="ascii") as file:
            file.write(extensions)
        self._key(name)
        self._openssl("req", "-new", "-key", key, "-subj", subject, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self._path("ca.key"), "-days", "2",
                      "-CAcreateserial", "-extfile", self._path(f"{name}.ext"), "-out", certificate)
        return certificate, key


def crc16(data):
    """CRC-16/XMODEM, which stands at the end of an NKey."""
    value = 0
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = value << 1 ^ 0x1021 if value & 0x8000 else value << 1
        value &= 0xFFFF
    return value


def encoded(data):
    return base64.b32encode(data + crc16(data).to_bytes(2, "little")).decode().rstrip("=")


def user_nkey(public_of):
    """A seed and the public key of a new user; `public_of` makes the one of the other."""
    raw = os.urandom(32)
    user, seed = 20 << 3, 18 << 3
    return encoded(bytes([seed | user >> 5, (user & 31) << 3]) + raw), encoded(bytes([user]) + public_of(raw))


if __name__ == "__main__":
    Papers(sys.argv[1])
