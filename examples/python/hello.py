"""A host in Python: the event queue of routed/ffi.h through ctypes, one thread, nothing else.

    ./dev build && sudo cmake --install build/release && sudo ldconfig
    python3 examples/python/hello.py [PORT]
    curl http://127.0.0.1:8080/hello/reader

tests/e2e/hosts has a fuller one: asyncio, streams, backpressure, WebSockets.
"""

import ctypes
import signal
import sys
from ctypes import POINTER, byref, c_char_p, c_int32, c_int64, c_uint32, c_uint64, c_void_p

REQUEST, BODY, END, WRITABLE, CLOSED, STOPPED = range(1, 7)
WITHOUT_END = 2**64 - 1  # ROUTED_NO_LIMIT, UINT64_MAX
BATCH = 64


class Options(ctypes.Structure):
    """The beginning of routed_ffi_options: `size` tells the library where it ends here."""

    _fields_ = [
        ("size", c_uint64),
        ("host", c_char_p),
        ("unix_path", c_char_p),
        ("port", c_uint32),
        ("backlog", c_uint32),
    ]


class Event(ctypes.Structure):
    _fields_ = [
        ("exchange", c_uint64),
        ("kind", c_uint32),
        ("code", c_int32),
        ("data", c_void_p),
        ("size", c_uint64),
    ]


def load(name):
    library = ctypes.CDLL(name)
    for function, result, *arguments in [
        ("start", c_int32, POINTER(Options), POINTER(c_void_p)),
        ("last_error", c_uint64, c_char_p, c_uint64),
        ("port", c_uint32, c_void_p),
        ("poll", c_int64, c_void_p, POINTER(Event), c_uint64, c_uint64),
        ("send", c_int32, c_void_p, c_uint64, c_char_p, c_uint64),
        ("stop", None, c_void_p, c_uint64),
        ("free", None, c_void_p),
    ]:
        entry = getattr(library, f"routed_ffi_{function}")
        entry.restype, entry.argtypes = result, arguments
    return library


def strings(payload):
    """The strings of the request line (docs/BRIDGE_PROTOCOL.md, section 4): method, scheme,
    authority, path, query, protocol. The fields are behind them."""
    at = 2  # version and type
    for _ in range(6):
        size = int.from_bytes(payload[at : at + 4], "big")
        yield payload[at + 4 : at + 4 + size].decode("latin-1")
        at += 4 + size


def string(content):
    return len(content).to_bytes(4, "big") + content


def response(status, body):
    """The payload of a frame of type 12: status, one field (6: content-type), body."""
    return b"\x01\x0c%b\x00\x00\x00\x01\x00\x06%b%b" % (
        status.to_bytes(2, "big"), string(b"text/plain"), string(body))  # fmt: skip


def answer(payload):
    method, scheme, authority, path, query, protocol = strings(payload)
    if method == "GET" and path.startswith("/hello/"):
        return response(200, f"Hello, {path[7:]}!\n".encode("latin-1"))
    return response(404, b"Not Found\n")


def serve(library, server):
    """Until the server has stopped. A signal ends one wait, so that Python can handle it."""
    events = (Event * BATCH)()
    while True:
        count = library.routed_ffi_poll(server, events, BATCH, WITHOUT_END)
        for event in events[: max(count, 0)]:
            if event.kind == REQUEST:
                payload = answer(ctypes.string_at(event.data, event.size))
                # Refused only once the client has left: one answer always fits into the window.
                library.routed_ffi_send(server, event.exchange, payload, len(payload))
            elif event.kind == STOPPED:
                return


def main(port=8080):
    library = load("librouted_ffi.so.0")
    server = c_void_p()
    options = Options(size=ctypes.sizeof(Options), port=int(port))
    if library.routed_ffi_start(byref(options), byref(server)):
        text = ctypes.create_string_buffer(256)
        library.routed_ffi_last_error(text, len(text))
        sys.exit(f"hello: {text.value.decode()}")
    print(f"Listening on http://127.0.0.1:{library.routed_ffi_port(server)}", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: library.routed_ffi_stop(server, 5000))
    serve(library, server)
    library.routed_ffi_free(server)


if __name__ == "__main__":
    main(*sys.argv[1:])
