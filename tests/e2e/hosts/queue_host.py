"""A host with the event queue: asyncio waits on the descriptor, each exchange is a task.

    queue_host.py LIBRARY [CERTIFICATE KEY]    prints the port; stops at the end of its standard
                                               input
"""

import asyncio
import sys

import bridge
import routed
from answer import Answer
from application import application


class Exchange(Answer):
    """Answers one request through routed_ffi_send."""

    def __init__(self, front, number, payload):
        self.front = front
        self.number = number
        self.pieces = asyncio.Queue()
        self.writable = asyncio.Event()
        decoder = bridge.Decoder("requests")
        for kind, value in decoder.feed(bridge.frame(payload)):
            if kind == "head":
                self.request = value
            else:
                self.put(value)
        self.task = asyncio.create_task(self.run())

    def put(self, piece):
        self.pieces.put_nowait(piece)

    async def run(self):
        try:
            await application(self)
        except Exception as problem:
            print(f"exchange {self.number}: {problem!r}", file=sys.stderr)
            self.front.abort(self.number)

    async def read(self):
        """Content, or None at its end."""
        piece = await self.pieces.get()
        if piece:
            self.front.grant(self.number, len(piece))
        return piece

    async def send(self, payload):
        while True:
            self.writable.clear()
            error = self.front.send(self.number, payload)
            if error != routed.AGAIN:
                break
            await self.writable.wait()
        if error == routed.CLOSED:
            raise asyncio.CancelledError
        if error:
            raise OSError(error, "routed_ffi_send")


class Host:
    def __init__(self, front):
        self.front = front
        self.exchanges = {}
        self.stopped = asyncio.Event()

    def on_events(self):
        for event in self.front.poll():
            if event.kind == routed.STOPPED:
                self.stopped.set()
            elif event.kind == routed.REQUEST:
                exchange = Exchange(self.front, event.exchange, event.bytes())
                self.exchanges[event.exchange] = exchange
            else:
                self.on_event(event, self.exchanges[event.exchange])

    def on_event(self, event, exchange):
        if event.kind == routed.BODY:
            exchange.put(event.bytes())
        elif event.kind == routed.END:
            exchange.put(None)
        elif event.kind == routed.WRITABLE:
            exchange.writable.set()
        elif event.kind == routed.CLOSED_EVENT:
            del self.exchanges[event.exchange]
            exchange.task.cancel()


async def main(library, *certificate):
    front = routed.Front(library, **routed.tls(*certificate))
    host = Host(front)
    loop = asyncio.get_running_loop()
    loop.add_reader(front.descriptor(), host.on_events)
    print(front.port(), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    front.stop(5000)
    await host.stopped.wait()
    loop.remove_reader(front.descriptor())
    outcome = front.wait()
    front.free()
    return outcome


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
