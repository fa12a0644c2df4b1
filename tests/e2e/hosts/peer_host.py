"""A host as a bridge peer: an engine in Python behind a Unix socket of its own.

    peer_host.py LIBRARY [CERTIFICATE KEY]     prints the port; stops at the end of its standard
                                               input
"""

import asyncio
import os
import sys
import tempfile

import bridge
import routed
from answer import Answer
from application import application


class Exchange(Answer):
    """Answers one request over its connection."""

    def __init__(self, connection, request):
        self.connection = connection
        self.request = request
        self.pieces = asyncio.Queue(4)  # a reader that is behind stops the front
        self.task = asyncio.create_task(self.run())

    async def run(self):
        try:
            await application(self)
        except Exception as problem:
            print(f"exchange: {problem!r}", file=sys.stderr)
            if self.is_started:
                self.connection.close()
                return
            await self.send(bridge.response(12, 500, [], b""))
        while not self.is_tunnel and await self.read() is not None:
            pass  # the rest of a request that was answered early

    async def read(self):
        """Content, or None at its end, again and again."""
        piece = await self.pieces.get()
        if piece is None:
            self.pieces.put_nowait(None)
        return piece

    async def send(self, payload):
        self.connection.writer.write(bridge.frame(payload))
        await self.connection.writer.drain()

    def enter_tunnel(self):
        super().enter_tunnel()
        self.connection.decoder.enter_tunnel()


class Connection:
    """Reads while its exchange works, which is how it learns that the front gave up."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.decoder = bridge.Decoder("requests")
        self.exchange = None

    async def run(self):
        try:
            while data := await self.reader.read(65536):
                for kind, value in self.decoder.feed(data):
                    await self.on_event(kind, value)
        except ConnectionError as problem:
            print(f"connection: {problem!r}", file=sys.stderr)
        finally:
            if self.exchange:
                self.exchange.task.cancel()
            self.close()

    async def on_event(self, kind, value):
        if kind == "error":
            raise ConnectionError(value)
        if kind == "head":
            if self.exchange:
                await self.exchange.task
            self.exchange = Exchange(self, value)
        else:  # body, end, tunnel, tunnel_close
            await self.exchange.pieces.put(value)

    def close(self):
        self.writer.close()


async def on_connection(reader, writer):
    await Connection(reader, writer).run()


async def main(library, *certificate):
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:  # mode 0700
        path = os.path.join(folder, "engine")
        engine = await asyncio.start_unix_server(on_connection, path)
        os.chmod(path, 0o600)
        front = routed.Front(library, bridge_path=path.encode(), **routed.tls(*certificate))
        print(front.port(), flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
        front.stop(5000)
        outcome = await loop.run_in_executor(None, front.wait)
        front.free()
        engine.close()
    return outcome


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
