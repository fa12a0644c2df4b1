import pytest

from showcase import MODES, Showcase, serving


def pytest_generate_tests(metafunc):
    """Modules and tests marked over_tls run once more with TLS."""
    if "scheme" in metafunc.fixturenames and metafunc.definition.get_closest_marker("over_tls"):
        metafunc.parametrize("scheme", ["http", "https"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def scheme(request):
    """How the server of a test is spoken to."""
    return getattr(request, "param", "http")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """The folder of a development certificate, which the first server with TLS makes."""
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module", params=MODES)
def server(request, scheme, tmp_path_factory, certificates):
    """A showcase in each mode, shared by the tests of a module; must end clean."""
    with serving(
        mode=request.param, scheme=scheme, certificates=certificates, folder=tmp_path_factory.mktemp("showcase")
    ) as showcase:
        yield showcase


@pytest.fixture(scope="module", params=MODES)
def secure(request, tmp_path_factory, certificates):
    """As `server`, with TLS on a port of its own."""
    with serving(
        "--https", "0", "--certificates", certificates, mode=request.param, folder=tmp_path_factory.mktemp("secure")
    ) as showcase:  # fmt: skip
        showcase.authority = certificates / "authority.pem"
        yield showcase


@pytest.fixture
def start(tmp_path, scheme, certificates):
    """start(*arguments, mode=...) runs a showcase of the test's own. Those that still run at the
    end of the test are stopped and must end clean."""
    running = []

    def start_one(*arguments, **settings):
        settings = {"folder": tmp_path, "scheme": scheme, "certificates": certificates, **settings}
        showcase = Showcase(*arguments, **settings)
        running.append(showcase)
        return showcase

    yield start_one
    mine = [showcase for showcase in running if showcase.code is None]
    try:
        for showcase in mine:
            showcase.stop()
    finally:
        for showcase in mine:
            if showcase.code is None:
                showcase.kill()
    for showcase in mine:
        showcase.assert_clean()


@pytest.fixture(params=MODES)
def mode(request):
    return request.param
