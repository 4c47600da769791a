"""SharePoint's own REST interface on the wire: chunked uploads in every spelling, repeated, cancelled and broken."""

import json
import uuid
from xml.etree import ElementTree

import pytest
from cloud import Broken

SITE = "https://contoso.sharepoint.com/sites/Team"
LIBRARY = "/sites/Team/Shared Documents"
CHUNK = 400_000
VALUES = "http://schemas.microsoft.com/ado/2007/08/dataservices"


@pytest.fixture
def folder(way, place):
    rest(way, "POST", f"web/GetFolderByServerRelativeUrl('{LIBRARY}')/folders/add('{place}')")
    return f"{LIBRARY}/{place}"


def ask(way, method, path, body=b"", **headers):
    headers = {"Accept": "application/json;odata=nometadata", **headers}
    return way.ask(method, f"{SITE}/_api/{path}".replace(" ", "%20"), body, **headers)


def rest(way, method, path, body=b"", **headers):
    """The JSON of an answer that must be a success."""
    status, _, data = ask(way, method, path, body, **headers)
    assert status < 300, f"{method} {path}: {status} {data[:600]!r}"
    return json.loads(data) if data else None


def code(answer):
    status, _, data = answer
    error = json.loads(data)
    return status, (error.get("odata.error") or error["error"])["code"]


SPELLINGS = {
    "guid": ("StartUpload(uploadId=guid'{id}')", "ContinueUpload(uploadId=guid'{id}',fileOffset={at})", "FinishUpload(uploadId=guid'{id}',fileOffset={at})"),
    "text": ("startupload(uploadID='{id}')", "continueupload(uploadID='{id}', fileOffset='{at}')", "finishupload(uploadID='{id}', fileOffset='{at}')"),
    "aliases": ("StartUpload(uploadId=@i)?@i=guid'{id}'", "ContinueUpload(uploadId=@i,fileOffset=@o)?@i=guid'{id}'&@o={at}", "FinishUpload(uploadId=@i,fileOffset=@o)?@i=guid%27{id}%27&@o={at}"),
}


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_chunks_in_every_spelling(way, folder, canary, kept, spelling, verbose):
    start, go_on, finish = SPELLINGS[spelling]
    data, upload = canary.content(3 * CHUNK + 1_000, "chunks"), str(uuid.uuid4())
    file = f"web/GetFileByServerRelativeUrl('{folder}/a b.bin')"
    rest(way, "POST", f"web/GetFolderByServerRelativeUrl('{folder}')/Files/add(url='a b.bin',overwrite=true)")
    accept = "application/json;odata=" + ("verbose" if verbose else "nometadata")

    def send(form, at, size):
        status, _, body = ask(way, "POST", f"{file}/{form.format(id=upload, at=at)}", data[at : at + size], Accept=accept)
        assert status == 200, body
        return json.loads(body)["d"] if verbose else json.loads(body)

    def counted(answer, name):
        return int(answer[name] if verbose else answer["value"])

    assert counted(send(start, 0, CHUNK), "StartUpload") == CHUNK
    assert counted(send(go_on, CHUNK, CHUNK), "ContinueUpload") == 2 * CHUNK
    # this one is too short to be sealed by itself
    assert counted(send(go_on, 2 * CHUNK, 1_000), "ContinueUpload") == 2 * CHUNK + 1_000
    made = send(finish, 2 * CHUNK + 1_000, CHUNK)
    assert (made["Length"], made["Name"]) == (str(len(data)), "a b.bin")
    assert ask(way, "GET", f"{file}/$value")[2] == data
    assert ask(way, "GET", f"{file}/$value", Range=f"bytes={CHUNK - 5}-{CHUNK + 4}")[2] == data[CHUNK - 5 : CHUNK + 5]
    assert [one["Length"] for one in rest(way, "GET", f"web/GetFolderByServerRelativeUrl('{folder}')/Files")["value"]] == [str(len(data))]
    kept(len(data))


def test_a_stub_is_filled_as_the_web_pages_do(way, folder, canary, kept):
    data, upload = canary.content(2 * CHUNK, "stub"), str(uuid.uuid4())
    aliases = f"@a1='{folder}'&@a2='s.bin'&@a3=guid'{upload}'"
    rest(way, "POST", f"web/GetFolderByServerRelativePath(DecodedUrl=@a1)/Files/AddStubUsingPath(DecodedUrl=@a2)/StartUploadFile(uploadId=@a3)?{aliases}")
    file = f"web/GetFileByServerRelativePath(DecodedUrl='{folder}/s.bin')"
    assert rest(way, "POST", f"{file}/ContinueUpload(uploadId=guid'{upload}',fileOffset=0)", data[:CHUNK])["value"] == str(CHUNK)
    assert rest(way, "POST", f"{file}/GetUploadStatus(uploadId=guid'{upload}')")["ExpectedContentRange"] == f"{CHUNK}-"
    assert rest(way, "POST", f"{file}/FinishUpload(uploadId=guid'{upload}',fileOffset={CHUNK})", data[CHUNK:])["Length"] == str(2 * CHUNK)
    assert ask(way, "GET", f"{file}/$value")[2] == data
    kept(len(data))


def test_a_chunk_again_and_elsewhere(way, folder, canary):
    data, upload = canary.content(2 * CHUNK, "again"), str(uuid.uuid4())
    file = f"web/GetFileByServerRelativeUrl('{folder}/r.bin')"
    rest(way, "POST", f"web/GetFolderByServerRelativeUrl('{folder}')/Files/add(url='r.bin',overwrite=true)")
    go_on = f"{file}/ContinueUpload(uploadId=guid'{upload}',fileOffset={{}})"
    # who is refused before the body was read may find the connection closed: such bodies are short here
    assert code(ask(way, "POST", go_on.format(0), data[:9]))[0] == 404
    for _ in range(2):
        assert rest(way, "POST", f"{file}/StartUpload(uploadId=guid'{upload}')", data[:CHUNK])["value"] == str(CHUNK)
    for _ in range(2):
        assert rest(way, "POST", go_on.format(CHUNK), data[:CHUNK])["value"] == str(2 * CHUNK)
    assert code(ask(way, "POST", go_on.format(CHUNK), data[1 : CHUNK + 1]))[0] == 409
    assert code(ask(way, "POST", go_on.format(CHUNK + 1), data[:9]))[0] == 409
    other = f"{file}/StartUpload(uploadId=guid'{uuid.uuid4()}')"
    assert code(ask(way, "POST", other, data[:9]))[0] == 423
    # the client says the id in the body
    cancel = json.dumps({"uploadId": upload}).encode()
    assert ask(way, "POST", f"{file}/CancelUpload", cancel, Content_Type="application/json;odata=verbose")[0] == 200
    assert code(ask(way, "POST", go_on.format(2 * CHUNK), data[:9]))[0] == 404
    assert rest(way, "GET", file)["Length"] == "0"


@pytest.mark.parametrize("point", ["before-change", "after-change"])
def test_an_answer_that_is_lost(way, folder, canary, point):
    data, upload = canary.content(2 * CHUNK + 7, "lost"), str(uuid.uuid4())
    file = f"web/GetFileByServerRelativeUrl('{folder}/l.bin')"
    rest(way, "POST", f"web/GetFolderByServerRelativeUrl('{folder}')/Files/add(url='l.bin',overwrite=true)")
    rest(way, "POST", f"{file}/StartUpload(uploadId=guid'{upload}')", data[:CHUNK])
    go_on = f"{file}/ContinueUpload(uploadId=guid'{upload}',fileOffset={CHUNK})"
    way.cloud.fault(point, target="ContinueUpload")
    try:
        status = ask(way, "POST", go_on, data[CHUNK : 2 * CHUNK])[0]
    except (Broken, OSError):
        status = None
    assert status == (502 if way.through_gateway else None)
    assert rest(way, "POST", go_on, data[CHUNK : 2 * CHUNK])["value"] == str(2 * CHUNK)
    rest(way, "POST", f"{file}/FinishUpload(uploadId=guid'{upload}',fileOffset={2 * CHUNK})", data[2 * CHUNK :])
    assert ask(way, "GET", f"{file}/$value")[2] == data


def test_checked_by_the_simulator(direct, place):
    """What the gateway itself never sends."""
    direct_folder = f"{LIBRARY}/{place}"
    rest(direct, "POST", f"web/GetFolderByServerRelativeUrl('{LIBRARY}')/folders/add('{place}')")
    upload = str(uuid.uuid4())
    stub = f"web/GetFolderByServerRelativeUrl('{direct_folder}')/Files/AddStub(urlOfFile='x.bin')/StartUpload(uploadId=guid'{upload}')"
    assert rest(direct, "POST", stub, b"abc")["value"] == "3"
    file = f"web/GetFileByServerRelativeUrl('{direct_folder}/x.bin')"
    assert code(ask(direct, "POST", f"{file}/StartUpload(uploadId=guid'{upload}')", b"abd"))[0] == 409
    assert code(ask(direct, "POST", f"{file}/FinishUpload(uploadId=guid'{upload}',fileOffset=2)", b"c"))[0] == 409
    assert code(ask(direct, "PUT", f"{file}/$value", b"c"))[0] == 423
    assert code(ask(direct, "GET", f"{file}/ContinueUpload(uploadId=guid'{upload}',fileOffset=3)"))[0] == 405
    assert code(ask(direct, "POST", f"{file}/ContinueUpload(uploadId=guid'{upload}')", b"c"))[0] == 400
    # cancelling takes the stub away
    assert ask(direct, "POST", f"{file}/CancelUpload(uploadId=guid'{upload}')")[0] == 200
    assert code(ask(direct, "GET", file))[0] == 404


def test_xml_for_who_does_not_ask_for_json(way, folder, canary):
    data = canary.content(70_000, "xml")
    status, _, body = ask(way, "POST", "contextinfo", Accept="*/*")
    digest = ElementTree.fromstring(body).find(f"{{{VALUES}}}FormDigestValue").text
    add = f"web/GetFolderByServerRelativeUrl('{folder}')/Files/add(url='x.bin',overwrite=true)"
    assert ask(way, "POST", add, data, X_RequestDigest=digest)[0] == 200
    for path in ("Files", "Files('x.bin')"):
        status, headers, body = ask(way, "GET", f"web/GetFolderByServerRelativeUrl('{folder}')/{path}", Accept="application/atom+xml")
        assert status == 200 and headers["content-type"].startswith("application/atom+xml")
        assert [one.text for one in ElementTree.fromstring(body).iter(f"{{{VALUES}}}Length")] == ["70000"]
