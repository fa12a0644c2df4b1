import pytest

from showcase import MODES, Showcase


@pytest.fixture(scope="module", params=MODES)
def server(request, tmp_path_factory):
    """A showcase in each mode, shared by the tests of a module; must end clean."""
    showcase = Showcase(mode=request.param, folder=tmp_path_factory.mktemp("showcase"))
    yield showcase
    try:
        showcase.stop()
    finally:
        if showcase.code is None:
            showcase.kill()
    showcase.assert_clean()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """The folder of a development certificate, which the first server with TLS makes."""
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module", params=MODES)
def secure(request, tmp_path_factory, certificates):
    """As `server`, with TLS on a port of its own."""
    showcase = Showcase(
        "--https", "0", "--certificates", certificates,
        mode=request.param, folder=tmp_path_factory.mktemp("secure"),
    )  # fmt: skip
    showcase.authority = certificates / "authority.pem"
    yield showcase
    try:
        showcase.stop()
    finally:
        if showcase.code is None:
            showcase.kill()
    showcase.assert_clean()


@pytest.fixture
def start(tmp_path):
    """start(*arguments, mode=...) runs a showcase of the test's own. Those that still run at the
    end of the test are stopped and must end clean."""
    running = []

    def start_one(*arguments, **settings):
        settings.setdefault("folder", tmp_path)
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
