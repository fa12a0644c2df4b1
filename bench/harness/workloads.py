"""What is asked of the servers. A workload says how routed-load is to be called, and who can do it."""

import dataclasses

OURS = ("routed_ffi", "routed_ffi_processes", "routed_ffi_in_process")
ENGINES = ("routed_io", *OURS)
HTTP3_ONLY = ("nginx_http3", "ngtcp2")
SERVERS = (*ENGINES, "routed_ffi_native_direct", "nginx", "nginx_unix_nginx", "h2o", "caddy")
EVERYBODY = ("floor", *SERVERS, *HTTP3_ONLY)
FILES = (*ENGINES, "nginx", "nginx_unix_nginx", "h2o", "caddy", *HTTP3_ONLY)
TICKETS = tuple(name for name in SERVERS if name != "routed_io")  # libmicrohttpd gives none
UPLOADS = (*ENGINES, "routed_ffi_native_direct", "nginx", "nginx_http3")

KIB = 1024
MIB = 1024 * KIB

WITH_STREAMS = ("h2", "h2c", "h3")  # their requests share a connection without waiting for each other


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    cases: tuple
    path: str = "/bench"
    body: int | None = None
    spread: int = 1
    connections: int | None = None  # in place of --connections
    share: float = 1.0  # of --requests: what one of these weighs
    extra: tuple = ()
    protocols: tuple = ("h1", "h1s", "h2", "h2c", "h3")
    secure: bool = False  # TLS, whatever --protocol says
    kind: str = "load"  # or "idle", "startup"
    unit: str = "request"


ALL = {
    workload.name: workload
    for workload in (
        Workload("tiny", "GET of 30 bytes", EVERYBODY),
        Workload("post", "POST of 1 KiB", (*UPLOADS, "nginx_unix_nginx", "floor", "caddy"), body=KIB),
        Workload("routes", "GET, one of 100 routes with a parameter", ENGINES, "/r{n}/items/7", spread=100),
        Workload("fields", "GET, answered with 12 lines of fields", ENGINES, "/fields"),
        Workload("pipelined", "GET of 30 bytes, 16 pipelined", EVERYBODY, share=4, extra=("--pipeline", "16"),
                 protocols=("h1", "h1s")),
        Workload("connections-512", "GET of 30 bytes, 512 connections", EVERYBODY, connections=512),
        Workload("connections-10000", "GET of 30 bytes, 10,000 connections", EVERYBODY, connections=10000, share=4),
        Workload("download-100k", "GET of 100 KiB", FILES, f"/bytes/{100 * KIB}", share=0.4),
        Workload("download-10m", "GET of 10 MiB, 8 connections", FILES, f"/bytes/{10 * MIB}", connections=8,
                 share=0.02),
        Workload("download-1g", "GET of 1 GiB, one connection", FILES, f"/bytes/{1024 * MIB}", connections=1,
                 share=0.0002),
        Workload("upload-100k", "POST of 100 KiB", UPLOADS, body=100 * KIB, share=0.4),
        Workload("upload-10m", "POST of 10 MiB, 8 connections", UPLOADS, body=10 * MIB, connections=8, share=0.02),
        Workload("websocket-echo", "WebSocket: messages of 100 bytes come back", OURS, "/ws/echo", body=100,
                 extra=("--websocket", "echo"), protocols=("h1", "h1s"), unit="message"),
        Workload("websocket-broadcast", "WebSocket: each message of 100 bytes goes to all", OURS, "/ws/broadcast",
                 body=100, extra=("--websocket", "broadcast"), share=0.1, protocols=("h1", "h1s"),
                 unit="delivery"),
        Workload("events", "event streams of 100 events", ENGINES, "/events/100", share=0.2, unit="stream"),
        Workload("handshakes", "full TLS handshake and one GET", SERVERS, share=0.2, extra=("--reconnect",),
                 secure=True, unit="handshake"),
        Workload("handshakes-resumed", "resumed TLS handshake and one GET", TICKETS, share=0.2,
                 extra=("--resume",), secure=True, unit="handshake"),
        Workload("idle", "memory of connections that rest", EVERYBODY, connections=1000, kind="idle"),
        Workload("startup", "from start to the first answer", EVERYBODY, kind="startup"),
    )
}


def protocol_of(workload, options):
    """The protocol that this workload uses under these options; None: it has none there."""
    protocol = options.protocol
    if workload.secure:
        protocol = {"h1": "h1s", "h2c": "h2"}.get(protocol, protocol)
    return protocol if protocol in workload.protocols else None


def connections_of(workload, options):
    if workload.kind == "idle" and options.connections_given:
        return options.connections
    return workload.connections or options.connections


def arguments(workload, options):
    """For routed-load, without the port."""
    body = options.body if workload.name == "post" and options.body is not None else workload.body
    depth = options.streams if options.protocol in WITH_STREAMS else options.pipeline
    given = ["--host", options.address, "--path", workload.path, "--protocol", protocol_of(workload, options),
             "--connections", str(connections_of(workload, options)),
             "--warmup", str(max(1, round(options.warmup * min(1, workload.share)))), *workload.extra]
    if body is not None:
        given += ["--body", str(body)]
    if workload.spread > 1:
        given += ["--spread", str(workload.spread)]
    if depth > 1 and not workload.extra:
        given += ["--pipeline", str(depth)]
    if options.duration:
        given += ["--duration", f"{options.duration:f}"]
    else:
        # Each connection is used, or it would not be measured.
        least = connections_of(workload, options) if workload.connections else 1
        given += ["--requests", str(max(least, round(options.requests * workload.share)))]
    if options.table is not None:
        given += ["--table", str(options.table)]
    if options.rate:
        given += ["--rate", f"{options.rate:f}"]
    return given
