"""base64url without padding (RFC 4648, section 5), in which every text has one spelling."""

import base64
import re

from .errors import require


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str, refusal: str) -> bytes:
    spelt = re.fullmatch(r"[A-Za-z0-9_-]*", text) is not None and len(text) % 4 != 1
    require(spelt, refusal, "not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    require(encode(data) == text, refusal, "bits beyond the end that are not zero")
    return data
