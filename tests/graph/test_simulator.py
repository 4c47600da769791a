"""The simulator itself: strict where Microsoft's documents are, and the faults strike where they say."""

import base64
import io
import json
import subprocess
import zipfile

import pytest
from cloud import GRAPH, Broken, fragment, upload
from harness.servers import program
from simulator.quickxor import QuickXor

UNIT = 327_680
# from the tests of a published implementation
VECTORS = {
    "": "AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "Sg==": "SgAAAAAAAAAAAAAAAQAAAAAAAAA=",
    "2fuxhBJXtpWFe8dOfdGeHw==": "O9tHLAghgSvYohKFyMMxnNCHaHg=",
    "T6LYJIfDh81JrAK309H2JMJTXis=": "zBTHrspn3mEcohlJdIUAbjGNaNg=",
    "Mb7EGva2rEE5fENDL85P+BsapHEEjv2/siVhKjvAQe02feExVOQSkfmuYzU/kTF1MaKjPmKF/w+cbvwfdWL8aQ==": "n1anP5NfvD4XDYWIeRPW3ZkPv1Y=",
}


@pytest.mark.parametrize("data, expected", VECTORS.items())
def test_quickxor(data, expected):
    assert QuickXor().update(base64.b64decode(data)).base64() == expected


def test_quickxor_as_rclone_has_it(tmp_path):
    for size in (159, 160, 161, 1_310_720, 1_310_721, 3_000_001):
        data = bytes(index * 7 % 251 for index in range(size))
        (tmp_path / f"{size}").write_bytes(data)
        hasher = QuickXor()
        for at in range(0, size, 99_991):
            hasher.update(data[at : at + 99_991])
        done = subprocess.run([program("rclone", "tests/run --install"), "hashsum", "quickxor", "--base64", tmp_path / f"{size}"], capture_output=True, text=True, check=True)
        # it writes base64 for URLs
        assert base64.urlsafe_b64decode(done.stdout.split()[0]) == hasher.digest()


def session(way, place, **asked):
    return way.json("POST", f"/me/drive/root:/{place}/s.bin:/createUploadSession", asked)["uploadUrl"]


def code(answer):
    return answer[0], json.loads(answer[2])["error"]["code"]


def test_fragments(direct, place):
    url, total = session(direct, place), 2 * UNIT + 5
    assert fragment(direct, url, b"x" * UNIT, 0, total)[0] == 202
    assert fragment(direct, url, b"x" * UNIT, 0, total)[0] == 416
    assert fragment(direct, url, b"x" * 5, 2 * UNIT, total)[0] == 416
    assert fragment(direct, url, b"x" * UNIT, UNIT, total + 1)[0] == 400
    assert fragment(direct, url, b"x" * (UNIT - 1), UNIT, total)[0] == 400
    assert direct.ask("PUT", url, b"x" * UNIT, token=None, Content_Range=f"bytes {UNIT}-{2 * UNIT - 1}/*")[0] == 400
    assert fragment(direct, url, b"x" * UNIT, UNIT, total, Authorization="Bearer token-of-adele")[0] == 401
    for form, expected in (("closed", f"{UNIT}-{total - 1}"), ("open", f"{UNIT}-")):
        direct.cloud.switch(ranges_form=form)
        assert direct.json("GET", url, token=None)["nextExpectedRanges"] == [expected]
    assert fragment(direct, url, b"x" * UNIT, UNIT, total)[0] == 202
    assert fragment(direct, url, b"x" * 5, 2 * UNIT, total)[0] == 201
    assert direct.ask("GET", url, token=None)[0] == 404


def test_a_fragment_is_smaller_than_60_mib(direct, place):
    url = session(direct, place)
    assert fragment(direct, url, bytes(60 << 20), 0, 61 << 20)[0] == 413


def test_the_end_of_sessions(direct, place):
    url = session(direct, place, deferCommit=True)
    assert direct.ask("POST", url, token=None)[0] == 400
    assert fragment(direct, url, b"abc", 0, 3)[0] == 202
    assert direct.ask("POST", url, token=None)[0] == 201
    cancelled = session(direct, place)
    assert direct.ask("DELETE", cancelled, token=None)[0] == 204
    assert fragment(direct, cancelled, b"abc", 0, 3)[0] == 404
    direct.cloud.switch(session_seconds=0)
    assert fragment(direct, session(direct, place), b"abc", 0, 3)[0] == 404


def test_a_late_conflict_is_recovered_by_the_source_url(direct, place):
    url = session(direct, place, item={"@microsoft.graph.conflictBehavior": "fail"})
    direct.json("PUT", f"/me/drive/root:/{place}/s.bin:/content", b"first")
    assert code(fragment(direct, url, b"second", 0, 6)) == (409, "nameAlreadyExists")
    other = {"name": "t.bin", "@microsoft.graph.sourceUrl": url, "@microsoft.graph.conflictBehavior": "rename"}
    assert direct.json("PUT", f"/me/drive/root:/{place}", other)["name"] == "t.bin"


def test_tempauth_is_byte_exact(direct, place):
    direct.cloud.switch(tempauth_form="odd")
    item = direct.json("PUT", f"/me/drive/root:/{place}/d.bin:/content", b"0123456789")
    status, headers, _ = direct.ask("GET", f"{GRAPH}/me/drive/items/{item['id']}/content")
    url = headers["location"]
    assert status == 302 and direct.ask("GET", url, token=None)[2] == b"0123456789"
    for spoilt in (url.replace("%7E", "~"), url.replace("%c3%a9", "%C3%A9"), url.replace("(", "%28"), url[:-1], url.replace("%3D%3D", "==")):
        assert spoilt != url and direct.ask("GET", spoilt, token=None)[0] == 401


def test_ranges_of_downloads(direct, place):
    item = direct.json("PUT", f"/me/drive/root:/{place}/d.bin:/content", b"0123456789")
    url = item["@microsoft.graph.downloadUrl"]
    for wanted, status, shown, data in (
        ("bytes=2-4", 206, "bytes 2-4/10", b"234"),
        ("bytes=7-", 206, "bytes 7-9/10", b"789"),
        ("bytes=-3", 206, "bytes 7-9/10", b"789"),
        ("bytes=10-", 416, "bytes */10", b""),
    ):
        answer = direct.ask("GET", url, token=None, Range=wanted)
        assert (answer[0], answer[1]["content-range"], answer[2]) == (status, shown, data)
    direct.cloud.switch(download_range="ignore")
    assert direct.ask("GET", url, token=None, Range="bytes=2-4")[::2] == (200, b"0123456789")
    direct.cloud.switch(download_seconds=0)
    fresh = direct.json("GET", f"/me/drive/items/{item['id']}")["@microsoft.graph.downloadUrl"]
    assert direct.ask("GET", fresh, token=None)[0] == 401


def test_conditions(direct, place):
    item = direct.json("PUT", f"/me/drive/root:/{place}/c.bin:/content", b"1")
    url = f"{GRAPH}/me/drive/items/{item['id']}"
    assert direct.ask("GET", url + "/content", If_None_Match=item["eTag"])[0] == 304
    assert direct.ask("PUT", url + "/content", b"2", If_Match='"other"')[0] == 412
    assert direct.ask("PUT", url + "/content", b"2", If_Match=item["cTag"])[0] == 200
    assert direct.ask("DELETE", url, If_Match=item["eTag"])[0] == 412


def test_delta_pages_and_deletions(direct, place):
    direct.cloud.switch(page=2)
    made = [direct.json("PUT", f"/me/drive/root:/{place}/{number}.bin:/content", b"x") for number in range(5)]
    page, seen = direct.json("GET", "/me/drive/root/delta"), []
    while "@odata.nextLink" in page:
        seen += page["value"]
        page = direct.json("GET", page["@odata.nextLink"])
    seen += page["value"]
    identities = [one["id"] for one in seen]
    assert all(identities.index(one["parentReference"]["id"]) < identities.index(one["id"]) for one in seen if "root" not in one)
    assert {one["id"] for one in made} <= set(identities) and not any("cTag" in one for one in seen)
    direct.ask("DELETE", f"{GRAPH}/me/drive/items/{made[0]['id']}")
    changed = direct.json("GET", page["@odata.deltaLink"] + "&$top=100")["value"]
    [gone] = [one for one in changed if one["id"] == made[0]["id"]]
    assert gone["deleted"] and "name" not in gone
    direct.cloud.control("POST", "/deltas/expire")
    assert direct.ask("GET", page["@odata.deltaLink"])[0] == 410


def test_office_documents_are_rewritten(direct, place):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    direct.cloud.switch(office_mutation="at-once")
    for data, changed in ((buffer.getvalue(), True), (b"no archive", False)):
        item = direct.json("PUT", f"/me/drive/root:/{place}/a.docx:/content", data)
        got = direct.ask("GET", item["@microsoft.graph.downloadUrl"], token=None)[2]
        assert (got != data) is changed and item["size"] == len(got)


@pytest.mark.parametrize("at, stands", [("head", False), ("body", False), ("before-change", False), ("status", False), ("after-change", True), ("status-after-change", True), ("answer-head", True), ("answer-body", True)])
@pytest.mark.parametrize("how", ["reset", "close"])
def test_faults_strike_where_they_say(direct, place, at, stands, how):
    direct.cloud.fault(at, method="PUT", target=place, bytes=20, how=how)
    if at.startswith("status"):
        assert direct.ask("PUT", f"{GRAPH}/me/drive/root:/{place}/f.bin:/content", b"x" * 100)[0] == 503
    else:
        with pytest.raises((Broken, OSError)):
            direct.ask("PUT", f"{GRAPH}/me/drive/root:/{place}/f.bin:/content", b"x" * 100)
    assert (direct.cloud.stored(f"{place}/f.bin") is not None) is stands
    assert direct.ask("PUT", f"{GRAPH}/me/drive/root:/{place}/f.bin:/content", b"y")[0] in (200, 201)


def test_teams_limits_and_marks(direct):
    team = direct.json("GET", "/me/joinedTeams")["value"][0]["id"]
    channel = direct.json("GET", f"/teams/{team}/channels")["value"][0]["id"]
    url = f"{GRAPH}/teams/{team}/channels/{channel}/messages"
    assert direct.ask("POST", url, {"body": {"content": "x" * 28_673}})[0] == 413
    assert direct.ask("POST", url, {"body": {"content": "x" * 28_672}})[0] == 201
    html = '<div data-x="1" onclick="y"><at id="0">Alex</at><attachment id="a-1"></attachment><odd>kept</odd></div>'
    post = {"body": {"contentType": "html", "content": html}, "mentions": [{"id": 0, "mentionText": "Alex"}], "attachments": [{"id": "a-1", "contentType": "reference"}]}
    kept = direct.json("POST", url, post)["body"]["content"]
    assert kept == '<div><at id="0">Alex</at><attachment id="a-1"></attachment>kept</div>'
    assert direct.ask("POST", url, {**post, "mentions": []})[0] == 400


def test_who_asks(direct):
    assert direct.ask("GET", f"{GRAPH}/me", token=None)[0] == 401
    direct.cloud.control("POST", "/challenge", ["token-of-adele"])
    status, headers, _ = direct.ask("GET", f"{GRAPH}/me")
    assert status == 401 and "insufficient_claims" in headers["www-authenticate"]
    assert direct.ask("GET", f"{GRAPH}/me", Host="graph.example")[0] == 421


def test_curl(way, place, tmp_path, canary, kept):
    data = canary.content(300_000, "curl")
    (tmp_path / "up").write_bytes(data)
    curl = ["curl", "--silent", "--show-error", "--fail", "--location", "--proxy", way.proxy, "--cacert", way.ca, "--oauth2-bearer", "token-of-adele"]
    url = f"{GRAPH}/me/drive/root:/{place}/a%20b.bin:/content"
    assert json.loads(way.run(*curl, "--upload-file", tmp_path / "up", url).stdout)["size"] == len(data)
    way.run(*curl, "--output", tmp_path / "down", url)
    assert (tmp_path / "down").read_bytes() == data
    way.run(*curl, "--range", "1000-1999", "--output", tmp_path / "part", json.loads(way.run(*curl, url.removesuffix(":/content")).stdout)["@microsoft.graph.downloadUrl"])
    assert (tmp_path / "part").read_bytes() == data[1_000:2_000]
    kept()


def test_upload_of_several_fragments(way, place, canary):
    data = canary.content(7 * UNIT + 3, "several")
    status, _, body = upload(way, f"{place}/u.bin", data, piece=2 * UNIT)
    assert status == 201 and json.loads(body)["size"] == len(data)
    url = way.json("GET", f"/me/drive/root:/{place}/u.bin")["@microsoft.graph.downloadUrl"]
    assert way.ask("GET", url, token=None)[2] == data
