"""Makes a curl that was linked to Debian's libcurl with OpenSSL ask for the versioned symbols of
the one with GnuTLS: join_curl.py PROGRAM OUT. The two libraries have the same interface."""

import pathlib
import struct
import sys

FROM, TO = b"CURL_OPENSSL_4", b"CURL_GNUTLS_3"


def elf_hash(name):
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high & 0xFFFFFFFF
    return struct.pack("<I", value)


def join(program):
    for old, new in ((FROM + b"\0", TO.ljust(len(FROM) + 1, b"\0")), (elf_hash(FROM), elf_hash(TO))):
        if program.count(old) != 1:
            raise SystemExit(f"join_curl.py: {old!r} is there {program.count(old)} times, not once")
        program = program.replace(old, new)
    return program


if __name__ == "__main__":
    out = pathlib.Path(sys.argv[2])
    out.write_bytes(join(pathlib.Path(sys.argv[1]).read_bytes()))
    out.chmod(0o755)
