"""Chromium over HTTP/3: forced to, and led there by Alt-Svc alone."""

import pytest

import browser as chromium
from browser import Browser
from conftest import FOREIGN, run_site
from showcase import MODES

pytestmark = pytest.mark.skipif(FOREIGN or not chromium.is_here(), reason="about the showcase in Chromium")


@pytest.fixture(params=MODES)
def site(request, tmp_path, foreign_certificates):
    with run_site(tmp_path, foreign_certificates, mode=request.param) as site:
        yield site


@pytest.fixture
def leaf(foreign_certificates):
    return foreign_certificates / "localhost.pem"


@pytest.fixture
def url(site):
    """By address: of a name Chromium tries QUIC at the first address only, which is ::1."""
    return "https://%s:%d/" % site.address


HEADING = "document.querySelector('h1').textContent"


def test_page_by_force(url, leaf, tmp_path):
    """--origin-to-force-quic-on: no other protocol is tried."""
    with Browser(tmp_path, [leaf], quic_origins=[url[8:-1]]) as browser, browser.page() as page:
        page.open(url)
        assert page.protocol() == "h3"
        assert page.run(HEADING) == "You came by HTTP/3"
        assert page.run("fetch('/inspect').then(answer => answer.json()).then(seen => seen.tls.alpn)") == "h3"
        assert page.run("""Promise.all(Array.from({length: 50}, (_, number) => fetch(`/bytes/${20000 + number}`)
            .then(answer => answer.bytes())
            .then(bytes => bytes.every((byte, index) => byte === index % 251) && bytes.length)))""") == [
            20000 + number for number in range(50)
        ]  # fmt: skip
        assert page.run("""(async () => {
            const body = new Uint8Array(1000000).map((_, index) => index % 251);
            const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', body)).toHex();
            const seen = await (await fetch('/digest', {method: 'POST', body})).json();
            return seen.length === body.length && seen.sha256 === sum;
        })()""") is True  # fmt: skip
        assert {response["protocol"] for response in page.responses().values()} == {"h3"}
        assert not page.events("Runtime.exceptionThrown")


def test_second_visit_by_alt_svc_alone(url, leaf, tmp_path):
    """Nothing but the field of the first answer leads there."""
    # Over QUIC Chromium takes a private authority only for hosts that it is told of, with any port.
    with Browser(tmp_path, [leaf], quic=True, quic_origins=["127.0.0.1:1"]) as browser, browser.page() as page:
        page.open(url)
        first = page.protocol()
        assert first == "h2" and page.run(HEADING) == "You came by HTTP/2"
        for _ in range(5):
            # A connection that is open may be used once more while that by QUIC is being made.
            page.open(url + "?again")
            if page.protocol() == "h3":
                break
        assert page.protocol() == "h3" and page.run(HEADING) == "You came by HTTP/3"
