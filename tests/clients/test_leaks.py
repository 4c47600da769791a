"""Everything that this run stored through the gateway, on the store's and on the gateway's disk."""

import pytest


@pytest.mark.last
def test_no_plaintext_on_any_disk(store, gateway, through, direct, sealed_canary, clear_canary):
    for way in (through, direct):
        bucket = way.bucket()
        way.client.put_object(Bucket=bucket, Key="a", Body=way.canary.content(200_000, "leak"), Metadata={"m": way.canary.text.decode()})
    assert clear_canary.files_with(store.data), "the search finds nothing where there is something: it proves nothing"
    assert sealed_canary.files_with(store.data) == []
    assert sealed_canary.files_with(gateway.home) == []
    assert not sealed_canary.found_in(gateway.server.log.read_bytes())
