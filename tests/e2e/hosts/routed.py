"""include/routed/ffi.h for Python."""

import ctypes
from ctypes import c_char_p, c_int32, c_int64, c_uint32, c_uint64, c_void_p

AGAIN, CLOSED = -5, -4
REQUEST, BODY, END, WRITABLE, CLOSED_EVENT, STOPPED = range(1, 7)
NO_LIMIT = 2**64 - 1


class Options(ctypes.Structure):
    _fields_ = [
        ("size", c_uint64),
        ("host", c_char_p),
        ("unix_path", c_char_p),
        ("port", c_uint32),
        ("backlog", c_uint32),
        ("v6_only", c_uint32),
        ("shared", c_uint32),
        ("workers", c_uint32),
        ("mode", c_uint32),
        ("bridge_path", c_char_p),
        ("bridge_port", c_uint32),
        ("log_level", c_uint32),
        ("access_log", c_char_p),
        ("log", c_char_p),
        ("http2", c_uint32),
        ("http3", c_uint32),
        ("tls_certificate", c_char_p),
        ("tls_key", c_char_p),
        ("tls_key_password", c_char_p),
        ("tls_ocsp", c_char_p),
        ("tls_client_authorities", c_char_p),
        ("tls_client_revocations", c_char_p),
        ("tls_client", c_uint32),
        ("alt_svc", c_uint32),
        ("limits", c_void_p),
        ("early_data", c_uint32),
        ("reserved", c_uint32),
        ("quic_secret", c_char_p),
    ]


def tls(certificate=None, key=None):
    """The options of a server with TLS, which has HTTP/3 too; none without a certificate."""
    return {"tls_certificate": certificate.encode(), "tls_key": key.encode()} if certificate else {}


class Event(ctypes.Structure):
    _fields_ = [
        ("exchange", c_uint64),
        ("kind", c_uint32),
        ("code", c_int32),
        ("data", c_void_p),
        ("size", c_uint64),
    ]

    def bytes(self):
        return ctypes.string_at(self.data, self.size) if self.size else b""


FUNCTIONS = {
    "routed_ffi_start": (c_int32, ctypes.POINTER(Options), ctypes.POINTER(c_void_p)),
    "routed_ffi_last_error": (c_uint64, c_char_p, c_uint64),
    "routed_ffi_port": (c_uint32, c_void_p),
    "routed_ffi_stop": (None, c_void_p, c_uint64),
    "routed_ffi_wait": (c_int32, c_void_p),
    "routed_ffi_free": (None, c_void_p),
    "routed_ffi_descriptor": (c_int32, c_void_p),
    "routed_ffi_poll": (c_int64, c_void_p, ctypes.POINTER(Event), c_uint64, c_uint64),
    "routed_ffi_send": (c_int32, c_void_p, c_uint64, c_char_p, c_uint64),
    "routed_ffi_grant": (c_int32, c_void_p, c_uint64, c_uint64),
    "routed_ffi_abort": (c_int32, c_void_p, c_uint64),
}


class Front:
    """One server; front.send(...) is routed_ffi_send(server, ...), and so on."""

    BATCH = 64

    def __init__(self, library, **options):
        self._library = ctypes.CDLL(library)
        for name, (result, *arguments) in FUNCTIONS.items():
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        self._events = (Event * self.BATCH)()
        self._server = c_void_p()
        given = Options(size=ctypes.sizeof(Options), **options)
        error = self._library.routed_ffi_start(given, self._server)
        if error:
            text = ctypes.create_string_buffer(256)
            self._library.routed_ffi_last_error(text, len(text))
            raise OSError(error, text.value.decode())

    def __getattr__(self, name):
        function = getattr(self._library, f"routed_ffi_{name}")
        return lambda *arguments: function(self._server, *arguments)

    def send(self, exchange, payload):
        return self._library.routed_ffi_send(self._server, exchange, payload, len(payload))

    def poll(self, timeout=0):
        """The events that are there; their bytes are good until the next poll."""
        count = self._library.routed_ffi_poll(self._server, self._events, self.BATCH, timeout)
        return self._events[: max(count, 0)]
