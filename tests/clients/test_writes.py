"""Writing: metadata, conditions, copies, deletions, tags, keys of every shape."""

import base64
import hashlib

import pytest

import wire
from compare import code_of, compare, deviates, outcome, status_of
from harness.material import NAMES, longest

HEADERS = {
    "ContentType": "text/x-canary",
    "ContentDisposition": 'attachment; filename="canary.txt"',
    "ContentLanguage": "fr-FR",
    "ContentEncoding": "x-canary",
    "CacheControl": "max-age=77",
}


@pytest.fixture
def bucket(through):
    return through.bucket()


def put(way, bucket, key="a", body=b"body", **settings):
    return way.client.put_object(Bucket=bucket, Key=key, Body=body, **settings)


def read(way, bucket, key="a"):
    return way.client.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_metadata_comes_back_and_is_not_seen_upstream(way):
    bucket, canary = way.bucket(), way.canary.text.decode()
    metadata = {"secret": canary, "Mixed-Case": "value", "empty": "", "spaces": "a  b"}
    put(way, bucket, Metadata=metadata, **{**HEADERS, "ContentDisposition": canary})
    for got in (way.client.head_object(Bucket=bucket, Key="a"), way.client.get_object(Bucket=bucket, Key="a")):
        if not way.through_gateway and got["ContentEncoding"] != HEADERS["ContentEncoding"]:
            deviates(way.store, "keeps aws-chunked as a coding of the object")
            got["ContentEncoding"] = HEADERS["ContentEncoding"]
        assert {name: got[name] for name in HEADERS} == {**HEADERS, "ContentDisposition": canary}
        assert got["Metadata"]["secret"] == canary
        assert got["Metadata"]["mixed-case"] == "value"
    way.assert_sealed(bucket)
    seen = way.store_client.head_object(Bucket=bucket, Key="a")
    if way.through_gateway:
        assert seen["ContentType"] == "application/octet-stream"
        assert not {"ContentDisposition", "ContentLanguage", "ContentEncoding", "CacheControl"} & seen.keys()
        assert not {"secret", "mixed-case", "empty", "spaces"} & seen["Metadata"].keys()
    else:
        assert seen["Metadata"]["secret"] == canary


def test_metadata_that_is_not_ascii_survives(through, bucket):
    """As boto3 has it: ASCII or nothing; others send UTF-8, which RFC 2047 or the raw bytes carry."""
    put(through, bucket, Metadata={"name": "=?UTF-8?B?w6nDoA==?="})
    assert through.client.head_object(Bucket=bucket, Key="a")["Metadata"]["name"] == "=?UTF-8?B?w6nDoA==?="


def test_too_much_metadata_is_refused(through, bucket):
    assert code_of(put, through, bucket, Metadata={"big": "x" * 8_000}) == "MetadataTooLarge"
    assert status_of(through.store_client.head_object, Bucket=bucket, Key="a") == 404


def test_the_same_bytes_are_never_stored_twice_alike(through, bucket):
    for key in ("a", "b"):
        put(through, bucket, key, b"the same" * 1_000)
    held = through.provider_holds(bucket)
    assert held["a"][1] != held["b"][1]
    assert held["a"][0]["ETag"] != held["b"][0]["ETag"]
    blobs = [set(held[key][0]["Metadata"].values()) for key in "ab"]
    assert not blobs[0] & blobs[1]


def test_conditional_writes(direct, through):
    def steps(way, bucket):
        create = outcome(lambda: bool(put(way, bucket, body=b"first", IfNoneMatch="*")))
        again = outcome(lambda: bool(put(way, bucket, body=b"second", IfNoneMatch="*")))
        tag = way.client.head_object(Bucket=bucket, Key="a")["ETag"]
        replaced = outcome(lambda: bool(put(way, bucket, body=b"third", IfMatch=tag)))
        stale = outcome(lambda: bool(put(way, bucket, body=b"fourth", IfMatch=tag)))
        missing = outcome(lambda: bool(put(way, bucket, "missing", IfMatch=tag)))
        return create, again, replaced, stale, missing, read(way, bucket)

    compare(
        direct,
        through,
        steps,
        (
            True,
            ("PreconditionFailed", 412),
            True,
            ("PreconditionFailed", 412),
            ("NoSuchKey", 404),
            b"third",
        ),
    )


def test_a_conditional_completion(direct, through):
    def steps(way, bucket):
        from test_multipart import Upload

        put(way, bucket)
        upload = Upload(way, bucket, "a")
        upload.part(1, b"other")
        refused = outcome(lambda: bool(upload.complete(IfNoneMatch="*")))
        replaced = outcome(
            lambda: bool(upload.complete(IfMatch=way.client.head_object(Bucket=bucket, Key="a")["ETag"]))
        )
        return refused, replaced, read(way, bucket)

    compare(direct, through, steps, (("PreconditionFailed", 412), True, b"other"))


def test_conditional_deletes(direct, through):
    def steps(way, bucket):
        put(way, bucket)
        wrong = outcome(
            lambda: bool(way.client.delete_object(Bucket=bucket, Key="a", IfMatch='"0123456789abcdef0123456789abcdef"'))
        )
        still = read(way, bucket)
        tag = way.client.head_object(Bucket=bucket, Key="a")["ETag"]
        right = outcome(lambda: bool(way.client.delete_object(Bucket=bucket, Key="a", IfMatch=tag)))
        return wrong, still, right, status_of(way.client.head_object, Bucket=bucket, Key="a")

    compare(direct, through, steps, (("PreconditionFailed", 412), b"body", True, 404))


def copy(way, bucket, source="a", target="b", **settings):
    return way.client.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": source}, **settings)


def test_copies(way):
    bucket, other = way.bucket(), way.bucket()
    data = way.canary.content(200_000, "copies")
    put(way, bucket, "a dir/ü+%.bin", data, Metadata={"colour": "blue"}, **HEADERS)
    copied = copy(way, bucket, "a dir/ü+%.bin", "b")
    head = way.client.head_object(Bucket=bucket, Key="b")
    # SeaweedFS itself leaves the quotes out
    assert copied["CopyObjectResult"]["ETag"].strip('"') == head["ETag"].strip('"')
    assert (head["Metadata"], head["ContentType"]) == ({"colour": "blue"}, "text/x-canary")
    copy(way, bucket, "b", "c", MetadataDirective="REPLACE", Metadata={"colour": "red"}, ContentType="text/x-other")
    head = way.client.head_object(Bucket=bucket, Key="c")
    assert (head["Metadata"], head["ContentType"]) == ({"colour": "red"}, "text/x-other")
    way.client.copy_object(Bucket=other, Key="d", CopySource={"Bucket": bucket, "Key": "c"})
    for place, key in ((bucket, "b"), (bucket, "c"), (other, "d")):
        assert read(way, place, key) == data
    # onto itself, with other metadata
    copy(way, bucket, "b", "b", MetadataDirective="REPLACE", Metadata={"colour": "green"})
    assert way.client.head_object(Bucket=bucket, Key="b")["Metadata"] == {"colour": "green"}
    assert read(way, bucket, "b") == data
    way.assert_sealed(bucket)


def test_a_copy_onto_itself_that_changes_nothing(direct, through):
    def steps(way, bucket):
        put(way, bucket)
        return outcome(lambda: bool(copy(way, bucket, "a", "a"))), read(way, bucket)

    compare(direct, through, steps, (("InvalidRequest", 400), b"body"))


def test_conditions_on_the_source(direct, through):
    def steps(way, bucket):
        put(way, bucket)
        tag = way.client.head_object(Bucket=bucket, Key="a")["ETag"]
        return [
            outcome(lambda: bool(copy(way, bucket, CopySourceIfMatch=tag))),
            outcome(lambda: bool(copy(way, bucket, CopySourceIfMatch='"0123456789abcdef0123456789abcdef"'))),
            outcome(lambda: bool(copy(way, bucket, CopySourceIfNoneMatch=tag))),
            outcome(lambda: bool(copy(way, bucket, "missing"))),
        ]

    compare(
        direct, through, steps, [True, ("PreconditionFailed", 412), ("PreconditionFailed", 412), ("NoSuchKey", 404)]
    )


def test_a_copied_multipart_object_reads_back(way):
    from test_multipart import FIRST, LAST, Upload

    bucket, parts = way.bucket(), (way.canary.content(FIRST, "x"), way.canary.content(LAST, "y"))
    upload = Upload(way, bucket, "a")
    for number, part in enumerate(parts, 1):
        upload.part(number, part)
    upload.complete()
    copy(way, bucket)
    way.client.delete_object(Bucket=bucket, Key="a")
    assert read(way, bucket, "b") == b"".join(parts)
    ranged = way.client.get_object(Bucket=bucket, Key="b", Range=f"bytes={FIRST - 5}-{FIRST + 4}")
    assert ranged["Body"].read() == parts[0][-5:] + parts[1][:5]


def test_many_are_deleted_at_once(way):
    bucket = way.bucket()
    keys = [name for name in NAMES if not name.startswith("deep")] + ["<a>&amp;", "b\"'"]
    for key in keys:
        put(way, bucket, key)
    answer = way.client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in [*keys, "missing"]]})
    assert {entry["Key"] for entry in answer["Deleted"]} == {*keys, "missing"}
    assert way.client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_quiet_deletion_of_many(direct, through):
    def steps(way, bucket):
        put(way, bucket)
        quiet = way.client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}], "Quiet": True})
        return (
            quiet.get("Deleted", []),
            quiet.get("Errors", []),
            status_of(way.client.head_object, Bucket=bucket, Key="a"),
        )

    compare(direct, through, steps, ([], [], 404))


def test_a_deletion_without_a_digest_is_refused(through, bucket):
    put(through, bucket)
    body = b"<Delete><Object><Key>a</Key></Object></Delete>"
    answer = wire.send(through.endpoint, "POST", f"/{bucket}?delete=", {"Content-Type": "application/xml"}, body)
    assert answer.status == 400
    md5 = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    answer = wire.send(through.endpoint, "POST", f"/{bucket}?delete=", {"Content-MD5": md5}, body)
    assert (answer.status, wire.code(answer)) == (400, "BadDigest")
    assert read(through, bucket) == b"body"


def test_directory_markers(direct, through, bucket):
    """boto3 frames the empty body, which both stores refuse by themselves; the gateway takes the framing off."""
    put(through, bucket, "folder/", b"")
    put(through, bucket, "folder/file", b"inside")
    listed = through.client.list_objects_v2(Bucket=bucket, Prefix="folder/")["Contents"]
    assert {entry["Key"]: entry["Size"] for entry in listed}["folder/file"] == 6
    alone = direct.bucket()
    marker = wire.send(direct.endpoint, "PUT", f"/{alone}/folder/", {"x-amz-meta-colour": "blue"})
    assert marker.status == 200
    if not direct.client.head_object(Bucket=alone, Key="folder/")["Metadata"]:
        deviates(direct.store, "keeps no metadata of directory markers, so that they can't be told from planted ones")
        assert status_of(through.client.head_object, Bucket=bucket, Key="folder/") >= 500
        return
    assert through.client.head_object(Bucket=bucket, Key="folder/")["ContentLength"] == 0
    assert read(through, bucket, "folder/") == b""
    found = outcome(
        lambda: bool(copy(through, bucket, "folder/", "elsewhere/")) and read(through, bucket, "elsewhere/")
    )
    if found != b"":
        assert found == outcome(lambda: bool(copy(direct, alone, "folder/", "elsewhere/")))
        deviates(direct.store, f"does not copy directory markers: {found}")


def test_keys_are_what_they_are(direct, through):
    """Neither store keeps `//` and `..`: what counts is that nothing is confused, and that nothing else opens."""
    keys = ["a//b", "a/../b", "./c", "d/.", "e*?[x]", "f\\g", longest(""), "h\u00a0i", "j:k|l"]
    for key in keys:

        def steps(way, bucket):
            put(way, bucket, key, key.encode())
            return read(way, bucket, key)

        compare(direct, through, steps, key.encode())


def test_a_folded_key_does_not_open_under_another_name(direct, through, bucket):
    put(through, bucket, "q//b", b"under its own name")
    assert read(through, bucket, "q//b") == b"under its own name"
    plain = direct.bucket()
    put(direct, plain, "q//b")
    if status_of_head(direct, plain, "q/b") == 200:
        # the store folds: the bytes are there, and are another object's
        assert status_of(through.client.get_object, Bucket=bucket, Key="q/b") >= 500
    else:
        assert status_of(through.client.get_object, Bucket=bucket, Key="q/b") == 404


def status_of_head(way, bucket, key):
    found = outcome(lambda: way.client.head_object(Bucket=bucket, Key=key)["ResponseMetadata"]["HTTPStatusCode"])
    return found if isinstance(found, int) else found[1]


def test_a_key_that_is_too_long(through, bucket):
    assert code_of(put, through, bucket, longest("") + "z") == "KeyTooLongError"


def test_tags_pass_where_the_policy_lets_them(direct, through):
    def steps(way, bucket):
        put(way, bucket, Tagging="colour=blue&size=7")
        first = way.client.get_object_tagging(Bucket=bucket, Key="a")["TagSet"]
        way.client.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": [{"Key": "k", "Value": "v: w/x@y"}]})
        second = way.client.get_object_tagging(Bucket=bucket, Key="a")["TagSet"]
        way.client.delete_object_tagging(Bucket=bucket, Key="a")
        third = way.client.get_object_tagging(Bucket=bucket, Key="a")["TagSet"]
        return sorted(tag["Key"] for tag in first), second, third, read(way, bucket)

    compare(direct, through, steps, (["colour", "size"], [{"Key": "k", "Value": "v: w/x@y"}], [], b"body"))


def test_nothing_in_clear_passes_without_the_policy(strict):
    bucket = strict.bucket()
    put(strict, bucket)
    assert code_of(put, strict, bucket, Tagging="a=b") == "AccessDenied"
    assert code_of(put, strict, bucket, ACL="public-read") == "AccessDenied"
    assert code_of(strict.client.get_object_tagging, Bucket=bucket, Key="a") == "AccessDenied"
    assert code_of(strict.client.put_bucket_policy, Bucket=bucket, Policy="{}") == "AccessDenied"
    put(strict, bucket, ACL="private")
    assert read(strict, bucket) == b"body"


def test_a_verified_md5_is_the_tag_where_the_service_says_so(md5_tags):
    bucket = md5_tags.bucket()
    data = md5_tags.canary.content(100_000, "md5")
    digest = hashlib.md5(data).digest()
    stored = put(md5_tags, bucket, body=data, ContentMD5=base64.b64encode(digest).decode())
    expected = f'"{digest.hex()}"'
    listed = md5_tags.client.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert stored["ETag"] == listed["ETag"] == md5_tags.client.head_object(Bucket=bucket, Key="a")["ETag"] == expected
    assert md5_tags.client.get_object(Bucket=bucket, Key="a", IfMatch=expected)["Body"].read() == data


def test_another_tenants_objects_do_not_open(through, strict, bucket):
    put(through, bucket, body=b"of one tenant")
    assert status_of(strict.client.get_object, Bucket=bucket, Key="a") >= 500
    assert status_of(strict.client.head_object, Bucket=bucket, Key="a") >= 500
    assert status_of(copy, strict, bucket) >= 500
    assert read(through, bucket) == b"of one tenant"
