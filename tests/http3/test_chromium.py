"""What a browser makes of HTTP/3: found by Alt-Svc, and from the first connection on."""

import json

import pytest

import browser as chromium
from browser import Browser
from showcase import MODES, eventually

pytestmark = pytest.mark.skipif(not chromium.is_here(), reason="there is no Chromium here")

# Chromium speaks QUIC to servers whose authority it was not delivered with only where the host is
# named in its flag. Another port there lets the host pass and forces nothing.
ANOTHER_PORT = 1


@pytest.fixture
def open_browser(tmp_path, foreign_certificates):
    """open_browser(site, port) with the host of the site, and that port, in Chromium's flag."""
    opened = []

    def open_one(site, port):
        name = f"{site.address[0]}:{port}"
        opened.append(Browser(tmp_path, [foreign_certificates / "localhost.pem"], quic_origins=[name]))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def url(site):
    return "https://%s:%d/" % site.address


def says(page):
    return page.run("document.body.innerText.match(/HTTP\\/[0-9.]+/)[0]")


def test_alt_svc_alone_leads_to_it(start_site, open_browser, tmp_path):
    site = start_site("--access-log", f"json:{tmp_path}/log", mode="bridge")
    browser = open_browser(site, ANOTHER_PORT)
    with browser.page() as page:
        page.open(url(site))
        assert (page.protocol(), says(page)) == ("h2", "HTTP/2")

    def is_found():
        with browser.page() as page:
            page.open(url(site))
            return (page.protocol(), says(page)) == ("h3", "HTTP/3")

    assert eventually(is_found)

    def logged():
        return {json.loads(line)["protocol"] for line in (tmp_path / "log").read_text().splitlines()}

    assert eventually(lambda: logged() == {"2", "3"})
    assert eventually(lambda: site.count("requests.http3") >= 1)


@pytest.mark.parametrize("mode", MODES)
def test_pages_and_content(start_site, open_browser, mode):
    site = start_site(mode=mode)
    with open_browser(site, site.address[1]).page() as page:
        page.open(url(site))
        assert (page.protocol(), says(page)) == ("h3", "HTTP/3")
        assert page.run("fetch('/bytes/3000000').then(answer => answer.arrayBuffer()).then(all => all.byteLength)") == 3000000
        upload = "fetch('/digest', {method: 'POST', body: new Uint8Array(2000000)}).then(answer => answer.json())"
        assert page.run(upload)["length"] == 2000000
        assert page.run("fetch('/users/7').then(answer => answer.json())")["params"] == {"id": "7"}
        assert {response["protocol"] for response in page.responses().values()} == {"h3"}
    site.assert_counts({"requests.http2": 0})
    assert eventually(lambda: site.count("requests.http3") >= 4)
    assert eventually(lambda: site.count("quic.table_inserts") > 0 and site.count("quic.answer_inserts") > 0)
