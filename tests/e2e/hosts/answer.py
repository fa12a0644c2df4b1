"""How both hosts answer, in the frames of the bridge; they differ in how a payload is sent."""

import bridge


class Answer:
    """A subclass has `pieces`, the queue of the request's content, and `async send(payload)`."""

    is_started = False
    is_tunnel = False

    async def inform(self, status, fields):
        await self.send(bridge.response(14, status, fields))

    async def start(self, status, fields):
        self.is_started = True
        if status == 101:
            self.enter_tunnel()
        await self.inform(status, fields)
        if self.is_tunnel:
            await self.send(bridge.payload(8))

    def enter_tunnel(self):
        self.is_tunnel = True
        self.pieces.get_nowait()  # the end of the request; what follows is the tunnel

    async def write(self, content):
        await self.send(bridge.chunk(bridge.TUNNEL_CHUNK if self.is_tunnel else 7, content))

    async def end(self):
        await self.send(bridge.payload(bridge.TUNNEL_CLOSE if self.is_tunnel else 8))
