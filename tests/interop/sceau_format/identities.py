"""Section 11, "Recipients and identities": the text forms of public and private keys."""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey

from . import base64url
from .errors import Refused, require
from .hpke import EK_M, XWingPrivateKey

RECIPIENT = "sceau-recipient-1-"
IDENTITY = "SCEAU-IDENTITY-1-"
PK = 1216
SK = 32
CHECK = 4

# what Unicode calls White_Space; str.strip() takes U+001C to U+001F besides
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


@dataclass(frozen=True)
class Recipient:
    public: bytes

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.public).digest()[:16]

    @property
    def text(self) -> str:
        checked = self.public + hashlib.sha256(self.public).digest()[:CHECK]
        return RECIPIENT + base64url.encode(checked)


class Identity:
    def __init__(self, sk: bytes) -> None:
        self.key = XWingPrivateKey(sk)
        self.recipient = Recipient(self.key.public)


def read_recipient(text: str) -> Recipient:
    public = _decode(text, RECIPIENT, PK)
    try:
        MLKEM768PublicKey.from_public_bytes(public[:EK_M])  # the modulus check of FIPS 203, section 7.2
    except ValueError:
        raise Refused("recipient-malformed", "not an ML-KEM key") from None
    return Recipient(public)


def read_identity(text: str) -> Identity:
    return Identity(_decode(text, IDENTITY, SK))


def _decode(text: str, beginning: str, size: int) -> bytes:
    def check(holds: bool, why: str) -> None:
        require(holds, "recipient-malformed", why)

    text = text.strip(WHITE_SPACE)
    check(text.startswith(beginning), f"it does not begin with {beginning}")
    data = base64url.decode(text.removeprefix(beginning), "recipient-malformed")
    check(len(data) == size + CHECK, "another length")
    key, check_bytes = data[:size], data[size:]
    check(hashlib.sha256(key).digest()[:CHECK] == check_bytes, "a typing error")
    return key
