"""Section 12: error classes."""

NAMES = frozenset(
    [
        # of objects, ranges and metadata blobs
        *("not-sealed", "suite", "header", "unknown-epoch", "key-unavailable", "commitment"),
        *("segment", "zeros", "trailer", "length", "run", "needs-trailer"),
        # of tokens (docs/tokens.md)
        "checksum",
        # of the S3 metadata document
        "document-malformed",
        # of records and key files
        *("key-file-malformed", "record-signature", "record-foreign", "record-no-identity"),
        *("record-substituted", "recipient-malformed", "key-passphrase-wrong"),
    ]
)


class Refused(Exception):
    """Something does not open. `name` is its error class, the rest of the message is for people."""

    def __init__(self, name: str, why: str) -> None:
        assert name in NAMES, name
        super().__init__(f"{name}: {why}")
        self.name = name


def require(holds: bool, name: str, why: str) -> None:
    """One check: it holds, or the reading ends with the class `name`."""
    if not holds:
        raise Refused(name, why)
