"""`sceau check --online` before real stores: what it says of each must be so."""

import json
import shutil
import subprocess
import uuid

from botocore.exceptions import BotoCoreError, ClientError

from harness.servers import sceau


def check(home, *arguments):
    done = subprocess.run([sceau(), "check", "--config", home, "--online", "--json", *arguments], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def said(answer, service="localhost"):
    return {finding["text"]: finding["good"] for finding in answer["online"] if finding["service"] == service}


def test_a_provider_that_serves_is_found_to(gateway, through, direct):
    bucket = through.bucket()
    status, answer = check(gateway.home, "--bucket", bucket)
    assert status == 0, answer
    assert said(answer)["the provider takes the credential"]
    assert said(answer)[f"conditional writes are honoured in {bucket}"]
    assert not direct.client.list_objects_v2(Bucket=bucket).get("Contents"), "the probe is removed again"


def test_a_bucket_that_is_none_is_said(gateway, direct):
    name = f"no-such-{uuid.uuid4().hex}"
    status, answer = check(gateway.home, "--bucket", name)
    try:
        direct.client.put_object(Bucket=f"{name}-either", Key="k", Body=b"")
    except (ClientError, BotoCoreError):  # some close without an answer
        assert status == 6
        assert any(f"can't be tried in {name}" in text and not good for text, good in said(answer).items())
    else:
        # a store that makes the bucket with its first object: nothing is wrong then
        assert status == 0, answer


def test_a_wrong_credential_is_said(gateway, tmp_path):
    home = tmp_path / "gateway"
    shutil.copytree(gateway.home, home)
    (home / "secrets" / "upstream").write_text("not the secret\n")
    status, answer = check(home)
    assert status == 6
    assert any("refuses to list buckets: 403" in text and not good for text, good in said(answer).items())
