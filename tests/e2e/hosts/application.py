"""What both hosts serve. An exchange has `request` (the head as bridge.Decoder tells it), read(),
inform(), start(), write() and end()."""

import asyncio
from urllib.parse import parse_qs

hung = cancelled = 0


async def hello(x):
    await answer(x, b"hello\n")


async def echo(x):
    """Each piece goes back as it comes."""
    await x.start(200, [("content-type", "application/octet-stream")])
    while piece := await x.read():
        await x.write(piece)
    await x.end()


async def early(x):
    await x.inform(103, [("link", "</style.css>; rel=preload")])
    await answer(x, b"late\n")


async def count(x):
    lines = int(parse_qs(x.request["query"])["lines"][0])
    await x.start(200, [("content-type", "text/plain")])
    for first in range(0, lines, 1000):
        numbers = range(first, min(first + 1000, lines))
        await x.write("".join(f"{n}\n" for n in numbers).encode())
    await x.end()


async def upgrade(x):
    """Echoes the bytes of the new protocol, whatever they are."""
    await x.start(101, [("connection", "Upgrade"), ("upgrade", "websocket")])
    while piece := await x.read():
        await x.write(piece)
    await x.end()


async def origin(x):
    stated = dict(x.request["fields"])
    await answer(x, f"{stated['x-routed-peer']} {stated['x-routed-request-id']}\n".encode())


async def protocol(x):
    await answer(x, f"{x.request['protocol']}\n".encode())


async def fail(x):
    raise RuntimeError("as asked")


async def hang(x):
    global hung, cancelled
    hung += 1
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled += 1
        raise


async def gone(x):
    """How many hung, and how many clients of these have left."""
    await answer(x, b"%d %d\n" % (hung, cancelled))


async def answer(x, body, status=200):
    fields = [("content-type", "text/plain"), ("content-length", str(len(body)))]
    await x.start(status, fields)
    await x.write(body)
    await x.end()


ROUTES = {"/": hello, "/echo": echo, "/early": early, "/count": count, "/upgrade": upgrade,
          "/origin": origin, "/protocol": protocol, "/fail": fail, "/hang": hang, "/gone": gone}  # fmt: skip


async def not_found(x):
    await answer(x, b"not here\n", 404)


async def application(x):
    await ROUTES.get(x.request["path"], not_found)(x)
