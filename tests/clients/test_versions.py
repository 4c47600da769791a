"""Versioning, retention and legal hold, where the store has them."""

import datetime

from compare import code_of, compare, outcome, status_of


def versioned(way):
    bucket = way.bucket()
    way.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def test_versions(way):
    bucket, client = versioned(way), way.client
    assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    bodies = [way.canary.content(size, "versions") for size in (70_000, 3, 0)]
    ids = [client.put_object(Bucket=bucket, Key="a", Body=body)["VersionId"] for body in bodies]
    for version, body in zip(ids, bodies):
        got = client.get_object(Bucket=bucket, Key="a", VersionId=version)
        assert (got["VersionId"], got["Body"].read()) == (version, body)
        assert client.head_object(Bucket=bucket, Key="a", VersionId=version)["ContentLength"] == len(body)
    listed = client.list_object_versions(Bucket=bucket)["Versions"]
    assert {entry["VersionId"]: entry["Size"] for entry in listed} == dict(zip(ids, map(len, bodies)))
    assert [entry["VersionId"] for entry in listed if entry["IsLatest"]] == ids[-1:]

    marker = client.delete_object(Bucket=bucket, Key="a")
    assert marker["DeleteMarker"]
    assert status_of(client.get_object, Bucket=bucket, Key="a") == 404
    assert len(client.list_object_versions(Bucket=bucket)["DeleteMarkers"]) == 1
    client.delete_object(Bucket=bucket, Key="a", VersionId=marker["VersionId"])
    assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == bodies[-1]

    source = {"Bucket": bucket, "Key": "a", "VersionId": ids[0]}
    copied = client.copy_object(Bucket=bucket, Key="b", CopySource=source)
    # not all stores say which version it was
    assert copied.get("CopySourceVersionId", ids[0]) == ids[0]
    assert client.get_object(Bucket=bucket, Key="b")["Body"].read() == bodies[0]
    client.delete_object(Bucket=bucket, Key="a", VersionId=ids[1])
    assert status_of(client.get_object, Bucket=bucket, Key="a", VersionId=ids[1]) == 404


def test_a_version_of_a_multipart_upload(way):
    from test_multipart import FIRST, Upload

    bucket, data = versioned(way), way.canary.content(FIRST, "version")
    upload = Upload(way, bucket, "a")
    upload.part(1, data)
    version = upload.complete()["VersionId"]
    way.client.put_object(Bucket=bucket, Key="a", Body=b"newer")
    assert way.client.get_object(Bucket=bucket, Key="a", VersionId=version)["Body"].read() == data
    ranged = way.client.get_object(Bucket=bucket, Key="a", VersionId=version, Range="bytes=-7")
    assert ranged["Body"].read() == data[-7:]


def test_an_older_version_is_not_served_as_the_newer(through):
    """The provider puts an older sealed version back: it opens, since no memory says otherwise; it never mixes."""
    bucket = versioned(through)
    ids = [through.client.put_object(Bucket=bucket, Key="a", Body=body)["VersionId"] for body in (b"one", b"two")]
    through.store_client.delete_object(Bucket=bucket, Key="a", VersionId=ids[1])
    assert through.client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"one"
    assert status_of(through.client.get_object, Bucket=bucket, Key="a", VersionId=ids[1]) == 404


def locked(way):
    return way.bucket(ObjectLockEnabledForBucket=True)


def test_retention(direct, through):
    until = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=1)

    def steps(way, _):
        bucket = locked(way)
        put = outcome(lambda: way.client.put_object(
            Bucket=bucket, Key="a", Body=b"kept", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=until,
        ).get("VersionId"))
        if isinstance(put, tuple):
            return put
        seen = way.client.get_object_retention(Bucket=bucket, Key="a")["Retention"]
        head = way.client.head_object(Bucket=bucket, Key="a")
        kept = outcome(lambda: bool(way.client.delete_object(Bucket=bucket, Key="a", VersionId=put)))
        freed = outcome(lambda: bool(
            way.client.delete_object(Bucket=bucket, Key="a", VersionId=put, BypassGovernanceRetention=True)
        ))
        return seen["Mode"], seen["RetainUntilDate"] == until, head.get("ObjectLockMode"), kept, freed

    compare(direct, through, steps, ("GOVERNANCE", True, "GOVERNANCE", ("AccessDenied", 403), True))


def test_legal_hold(direct, through):
    def steps(way, _):
        bucket = locked(way)
        version = way.client.put_object(Bucket=bucket, Key="a", Body=b"held").get("VersionId")
        way.client.put_object_legal_hold(Bucket=bucket, Key="a", LegalHold={"Status": "ON"})
        seen = way.client.get_object_legal_hold(Bucket=bucket, Key="a")["LegalHold"]["Status"]
        kept = outcome(lambda: bool(way.client.delete_object(Bucket=bucket, Key="a", VersionId=version)))
        way.client.put_object_legal_hold(Bucket=bucket, Key="a", LegalHold={"Status": "OFF"})
        freed = outcome(lambda: bool(way.client.delete_object(Bucket=bucket, Key="a", VersionId=version)))
        return seen, kept, freed

    compare(direct, through, steps, ("ON", ("AccessDenied", 403), True))


def test_the_buckets_own_retention(direct, through):
    rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}

    def steps(way, _):
        bucket = locked(way)
        way.client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=rule)
        seen = way.client.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
        version = way.client.put_object(Bucket=bucket, Key="a", Body=b"kept")["VersionId"]
        return seen == rule, outcome(lambda: bool(way.client.delete_object(Bucket=bucket, Key="a", VersionId=version)))

    compare(direct, through, steps, (True, ("AccessDenied", 403)))


def test_deletion_with_mfa_is_refused(through):
    bucket = versioned(through)
    version = through.client.put_object(Bucket=bucket, Key="a", Body=b"body")["VersionId"]
    assert code_of(through.client.delete_object, Bucket=bucket, Key="a", VersionId=version, MFA="serial 123456") == "NotImplemented"
    assert through.client.get_object(Bucket=bucket, Key="a", VersionId=version)["Body"].read() == b"body"
