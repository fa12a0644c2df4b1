"""What a browser makes of the HTTPS port: HTTP/2 for pages, images, uploads and WebSockets."""

import json

import pytest

import browser as chromium
from browser import Browser
from showcase import MODES, eventually, serving

pytestmark = pytest.mark.skipif(not chromium.is_here(), reason="there is no Chromium here")


@pytest.fixture(scope="module")
def server(request, tmp_path_factory, certificates):
    folder = tmp_path_factory.mktemp("browser")
    with serving(
        "--https", "0", "--certificates", certificates, "--access-log", f"json:{folder}/access.log",
        mode=request.param, folder=folder,
    ) as showcase:  # fmt: skip
        showcase.access_log = folder / "access.log"
        yield showcase


all_modes = pytest.mark.parametrize("server", MODES, indirect=True)
one_mode = pytest.mark.parametrize("server", ["in-process"], indirect=True)


@pytest.fixture(scope="module")
def browser(server, tmp_path_factory, certificates):
    with Browser(tmp_path_factory.mktemp("chromium"), [certificates / "localhost.pem"]) as browser:
        yield browser


@pytest.fixture
def page(server, browser):
    """The page of the showcase, opened, and what the server logs from now on."""
    with browser.page() as page:
        page.open(server.secure_url + "/")
        yield page


def logged(server, target):
    """The latest line of the access log for it."""

    def lines():
        found = [json.loads(line) for line in server.access_log.read_text().splitlines()]
        return [line for line in found if line["target"] == target]

    assert eventually(lines), f"no {target} in the access log"
    return lines()[-1]


SOCKET = """new Promise((done, failed) => {
    const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/ws/echo'), got = [];
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => { socket.send('hello'); socket.send(new Uint8Array(100000).fill(7)); };
    socket.onmessage = event => { got.push(event.data); if (got.length === 2) socket.close(3000, 'bye'); };
    socket.onerror = () => failed(new Error('the WebSocket failed'));
    socket.onclose = event => done([got[0], new Uint8Array(got[1]).every(byte => byte === 7)
        && got[1].byteLength, event.code, event.wasClean]);
})"""


def talk(page):
    assert page.run(SOCKET) == ["hello", 100000, 3000, True]
    return page.wait_for("Network.webSocketHandshakeResponseReceived")[-1]["response"]["status"]


@all_modes
def test_page_tells_its_protocol(server, page):
    assert page.protocol() == "h2"
    assert page.run("document.querySelector('h1').textContent") == "You came by HTTP/2"
    assert page.run("performance.getEntriesByType('navigation')[0].responseStatus") == 200
    assert page.run("fetch('/inspect').then(answer => answer.json()).then(seen => seen.tls.alpn)") == "h2"
    assert not page.events("Runtime.exceptionThrown")


@all_modes
def test_websocket_is_a_stream_of_the_connection(server, page):
    assert talk(page) == 200, "an answer of HTTP/1.1, which is 101"
    lines = [logged(server, target) for target in ("/", "/ws/echo")]
    assert [line["protocol"] for line in lines] == ["2", "2"]
    assert lines[0]["port"] == lines[1]["port"], "on a connection of its own"


# The showcase has no pictures: a browser asks for the bytes, and leaves off where it sees that.
IMAGES = """Promise.all(Array.from({length: 100}, (_, number) => new Promise(done => {
    const image = new Image();
    image.onload = image.onerror = done;
    image.src = `/bytes/${20000 + number}?image`;
    document.body.append(image);
}))).then(() => performance.getEntriesByType('resource')
    .filter(entry => entry.initiatorType === 'img')
    .map(entry => [entry.nextHopProtocol, entry.responseStatus]))"""

BLOBS = """Promise.all(Array.from({length: 100}, (_, number) => fetch(`/bytes/${20000 + number}?blob`)
    .then(answer => answer.bytes())
    .then(bytes => bytes.every((byte, index) => byte === index % 251) && bytes.length)))"""


@all_modes
def test_a_hundred_images_share_one_connection(server, page):
    assert page.run(IMAGES) == [["h2", 200]] * 100
    assert page.run(BLOBS) == [20000 + number for number in range(100)]
    page.wait_for("Network.responseReceived", 201)
    responses = page.responses()
    assert len(responses) == 201
    assert {(response["protocol"], response["connectionId"]) for response in responses.values()} == {
        ("h2", responses[server.secure_url + "/"]["connectionId"])
    }


@all_modes
def test_events(server, page):
    assert page.run("""new Promise((done, failed) => {
        const source = new EventSource('/events/3?ms=5'), got = [];
        source.onmessage = event => { got.push(event.lastEventId + event.data);
                                      if (got.length === 3) { source.close(); done(got); } };
        source.onerror = () => failed(new Error('no events'));
    })""") == ["1event 1", "2event 2", "3event 3"]  # fmt: skip


@all_modes
def test_uploads(server, page):
    """Of known length, and as a stream, which browsers send over HTTP/2 and later only."""
    digest = "crypto.subtle.digest('SHA-256', body).then(sum => new Uint8Array(sum).toHex())"
    assert page.run(f"""(async () => {{
        const body = new Uint8Array(3000000).map((_, index) => index % 251);
        const sent = await {digest};
        const stream = new Blob([body]).stream();
        for (const options of [{{body}}, {{body: stream, duplex: 'half'}}]) {{
            const answer = await fetch('/digest', {{method: 'POST', ...options}});
            const seen = await answer.json();
            if (seen.length !== body.length || seen.sha256 !== sent) return seen;
        }}
        return 'whole';
    }})()""") == "whole"


@all_modes
def test_fetch_that_is_given_up_is_cancelled(server, page):
    before = server.ends()
    page.run("void (window.leave = new AbortController(), fetch('/hang', {signal: leave.signal}).catch(() => {}))")
    assert eventually(lambda: server.ends()["hung"] == before["hung"] + 1)
    page.run("leave.abort()")
    assert eventually(lambda: server.ends()["cancelled"] == before["cancelled"] + 1)
    assert page.run("fetch('/json').then(answer => answer.json())") == {"ok": True}


@one_mode
def test_plain_port(server, browser):
    with browser.page() as page:
        page.open(server.url.replace(server.host, "localhost") + "/")
        assert page.protocol() == "http/1.1"
        assert talk(page) == 101


@one_mode
def test_without_http2(browser, certificates, start):
    with browser.page() as page:
        page.open(start("--https", "0", "--certificates", certificates, "--no-http2").secure_url + "/")
        assert page.protocol() == "http/1.1"
        assert talk(page) == 101


@one_mode
def test_a_stranger_is_not_trusted(server, tmp_path):
    with Browser(tmp_path) as browser, browser.page() as page, pytest.raises(ConnectionError, match="AUTHORITY"):
        page.open(server.secure_url + "/")
