"""The search of what clients are answered finds addresses in every place and form in which one can stand."""

import json

import pytest
from cloud import GRAPH, Way
from recorder import ADDRESS, Recorder


@pytest.fixture
def recorded(shared_cloud, tls, lenient_cloud):
    recorder = Recorder(shared_cloud.port, shared_cloud.ca, tls)
    way = Way("direct", shared_cloud, recorder.port, shared_cloud.ca, recorder)
    yield way
    way.close()
    recorder.close()


def test_an_answer_that_leads_elsewhere_is_found(recorded):
    recorded.cloud.fault("status", target="children", status=302, headers={"Location": "https://elsewhere.example/a?b"})
    assert recorded.ask("GET", f"{GRAPH}/me/drive/root/children")[0] == 302
    assert recorded.recorder.hosts() == {"elsewhere.example"}
    recorded.cloud.switch(json_framing="chunked")
    recorded.json("GET", "/me/drive")
    assert recorded.recorder.hosts() == {"graph.microsoft.com", "contoso-my.sharepoint.com"}


def test_in_every_form():
    url = "https://elsewhere.example:8443/x"
    for form in (url, json.dumps(url), url.replace("/", "\\/"), url.replace(":", "%3A").replace("/", "%2f"), url.upper()):
        assert [name.lower() for name in ADDRESS.findall(f"a={form}".encode())] == [b"elsewhere.example"], form
