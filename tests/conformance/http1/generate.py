#!/usr/bin/python3
"""Writes requests.tsv: what a client may send to an HTTP/1 port, and what must come of it.

Tab-separated columns:
  row       of the threat table: A B C D E F G H W
  name      of the case, unique
  statuses  of the final responses, in order, comma-separated; empty: none yet
  complete  requests that an application sees to their end
  then      open (keep-alive), wait (for more input), closed (lingering, nothing more is read)
  sees      text that must appear in the application's view of the requests; with a leading "!"
            text that must not; empty: anything
  input     the bytes, with \\r \\n \\t \\\\ \\xHH, and {{N|text}} for text repeated N times

The application of the table reads each request to its end and answers 200. Its view of a request
is one line: METHOD target authority [name=value;...] content [trailer=value;...].
Run without arguments; the file is written next to this one.
"""

import os

CASES = []
HOST = b"Host: a.example\r\n"
HEAD = b"POST /p HTTP/1.1\r\n" + HOST
NEXT = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
TOKEN = set(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Repeat:
    def __init__(self, count, text):
        self.count, self.text = count, text


def escape(part):
    if isinstance(part, Repeat):
        return "{{%d|%s}}" % (part.count, escape(part.text))
    names = {10: "\\n", 13: "\\r", 9: "\\t", 92: "\\\\"}
    return "".join(names.get(c) or (chr(c) if 32 <= c < 127 else "\\x%02x" % c) for c in part)


def case(row, name, statuses, parts, complete=0, then="closed", sees=""):
    if isinstance(parts, bytes):
        parts = [parts]
    text = "".join(escape(p) for p in parts)
    CASES.append((row, name, str(statuses), str(complete), then, sees, text))


def good(row, name, parts, complete=1, sees="", statuses=None, then="open"):
    case(row, name, statuses or ",".join(["200"] * complete), parts, complete, then, sees)


def bad(row, name, parts, status=400):
    if isinstance(parts, bytes):
        parts = [parts]
    case(row, name, status, list(parts) + [NEXT])


def title(data):
    return data.decode("latin-1").encode("unicode_escape").decode().replace("\t", "\\t")


# ---- A: Content-Length and Transfer-Encoding together ----

CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
for n, (cl, te) in enumerate([(b"Content-Length", b"Transfer-Encoding"),
                              (b"content-length", b"transfer-encoding"),
                              (b"CONTENT-LENGTH", b"TRANSFER-ENCODING")]):
    for length in (b"4", b"15", b"50"):
        cl_line, te_line = cl + b": " + length + b"\r\n", te + b": chunked\r\n"
        bad("A", "cl-te-%d-%s" % (n, length.decode()), HEAD + cl_line + te_line + b"\r\n" + CHUNKS)
        bad("A", "te-cl-%d-%s" % (n, length.decode()), HEAD + te_line + cl_line + b"\r\n" + CHUNKS)
for value in (b"identity", b"", b"chunked, identity", b"gzip"):
    bad("A", "cl-with-te-" + (title(value) or "empty"),
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: " + value + b"\r\n\r\nhello")
bad("A", "cl-0-te", HEAD + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS)
bad("A", "te-named-in-connection",
    HEAD + b"Content-Length: 15\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n\r\n" + CHUNKS)
bad("A", "both-1.0",
    b"POST /p HTTP/1.0\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS)

# ---- B: Transfer-Encoding that one reader sees and another does not ----

ODD = [0x00, 0x01, 0x04, 0x08, 0x0A, 0x0B, 0x0C, 0x0D, 0x1F, 0x7F, 0x80, 0x82, 0x85, 0xA0, 0xAD, 0xFF]
for c in ODD:
    b = bytes([c])
    control = c < 0x20 or c == 0x7F
    for name, line in [
            ("before-name", b + b"Transfer-Encoding: chunked"),
            ("after-name", b"Transfer-Encoding" + b + b": chunked"),
            ("for-colon", b"Transfer-Encoding" + b + b"chunked"),
            ("after-colon", b"Transfer-Encoding:" + b + b"chunked"),
            ("after-space", b"Transfer-Encoding: " + b + b"chunked"),
            ("inside-value", b"Transfer-Encoding: chu" + b + b"nked"),
            ("after-value", b"Transfer-Encoding: chunked" + b)]:
        bad("B", "%s-%02x" % (name, c), HEAD + line + b"\r\n\r\n" + CHUNKS)
for name, line in [
        ("space-before-colon", b"Transfer-Encoding : chunked"),
        ("tab-before-colon", b"Transfer-Encoding\t: chunked"),
        ("leading-space", b" Transfer-Encoding: chunked"),
        ("leading-tab", b"\tTransfer-Encoding: chunked"),
        ("fold-after-field", b"X: y\r\n Transfer-Encoding: chunked"),
        ("space-in-name", b"Transfer Encoding: chunked"),
        ("backslash-in-name", b"Transfer\\Encoding: chunked"),
        ("cr-in-name", b"Transfer\r-Encoding: chunked"),
        ("name-over-two-lines", b"Transfer-\r\nEncoding: chunked"),
        ("quoted-name", b"\"Transfer-Encoding\": chunked"),
        ("after-lf", b"X: y\nTransfer-Encoding: chunked"),
        ("after-cr", b"X: y\rTransfer-Encoding: chunked"),
        ("folded-value", b"Transfer-Encoding:\r\n chunked"),
        ("folded-value-tab", b"Transfer-Encoding:\r\n\tchunked"),
        ("folded-behind", b"Transfer-Encoding: chunked\r\n , identity")]:
    bad("B", name, HEAD + line + b"\r\n\r\n" + CHUNKS)
for value, status in [
        (b"identity", 501), (b"identity, chunked", 400), (b"chunked, identity", 400),
        (b"identity, chunked, identity", 400), (b"chunked, chunked", 400), (b",chunked", 400),
        (b"chunked,", 400), (b"chunked;q=1", 400), (b"chunkedchunked", 501), (b"xchunked", 501),
        (b"chunkedx", 501), (b"chunk", 501), (b"\"chunked\"", 400), (b"'chunked'", 501),
        (b"=?utf-8?B?Y2h1bmtlZA==?=", 400), (b"chunk\xe9d", 400), (b"", 400), (b"gzip", 501),
        (b"pigeons", 501), (b"gzip, chunked", 400), (b"chunked gzip", 400), (b"chunked\tx", 400),
        (b"chunked chunked", 400), (b"{chunked}", 400), (b"0", 501), (b":chunked", 400)]:
    bad("B", "value-" + (title(value) or "empty"),
        HEAD + b"Transfer-Encoding: " + value + b"\r\n\r\n" + CHUNKS, status)
for first, second in [(b"chunked", b"chunked"), (b"chunked", b"identity"), (b"identity", b"chunked"),
                      (b"chunked", b""), (b"", b"chunked"), (b"gzip", b"chunked"),
                      (b"chunked", b"gzip"), (b"identity", b"identity")]:
    bad("B", "two-%s-%s" % (title(first), title(second)),
        HEAD + b"Transfer-Encoding: " + first + b"\r\nTransfer-Encoding: " + second + b"\r\n\r\n" + CHUNKS)
bad("B", "te-1.0", b"POST /p HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS)
bad("B", "te-unknown-1.0", b"POST /p HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: pigeons\r\n\r\n" + CHUNKS)
for value in (b"chunked", b"Chunked", b"CHUNKED", b"  chunked", b"chunked  ", b"\tchunked\t"):
    good("B", "good-" + title(value),
         HEAD + b"Transfer-Encoding:" + value + b"\r\n\r\n" + CHUNKS, sees=" hello")
for name in (b"Transfer_Encoding", b"Transfer-%45ncoding", b"X-Transfer-Encoding", b"Transfer.Encoding",
             b"TransferEncoding"):
    good("B", "look-alike-" + title(name), HEAD + name + b": chunked\r\n\r\n",
         sees=name.decode().lower() + "=chunked;")

# ---- C: Content-Length ----

for value in (b"+5", b"-5", b"-0", b"+0", b"0x5", b"0X5", b"5e0", b"5.0", b"5,", b",5", b"5,5", b"5, 5",
              b"5, 6", b"5;5", b"5 5", b"5_0", b"5Z", b"Z", b"abc", b"", b"\"5\"", b"'5'", b"5\x00",
              b"\x005", b"5\x0b", b"\x0b5", b"5\xa0", b"\xa05", b"5\x85", b"\x855", b"\xc2\xb2",
              b"5\t5", b"9223372036854775808", b"18446744073709551621", b"9" * 41,
              b"NaN", b"0b101", b"0o5", b"5\r\n ", b"\r\n 5", b"5\x0c", b"1 ,2", b"\xef\xbc\x95", b"5\x7f"):
    bad("C", "value-" + (title(value)[:40] or "empty"),
        HEAD + b"Content-Length: " + value + b"\r\n\r\nhello")
for first, second in [(b"5", b"5"), (b"5", b"6"), (b"5", b""), (b"", b"5"), (b"5", b"x"), (b"x", b"5"),
                      (b"0", b"5"), (b"5", b"05")]:
    bad("C", "two-%s-%s" % (first.decode(), second.decode()),
        HEAD + b"Content-Length: " + first + b"\r\nContent-Length: " + second + b"\r\n\r\nhello")
for name in (b"Content-Length ", b"Content-Length\t", b"Content-Length\r", b"Content-Length\x00",
             b"Content-Length\x85", b"Content-Length\xa0", b"Content-\r\nLength", b" Content-Length",
             b"\tContent-Length", b"Content Length", b"\x00Content-Length"):
    bad("C", "name-" + title(name), HEAD + name + b": 5\r\n\r\nhello")
bad("C", "no-colon", HEAD + b"Content-Length 5\r\n\r\nhello")
bad("C", "after-bad-line", HEAD + b"bad line\r\nContent-Length: 5\r\n\r\nhello")
bad("C", "after-lf", HEAD + b"X: y\nContent-Length: 5\r\n\r\nhello")
for value, length in [(b"5", 5), (b"05", 5), (b"010", 10), (b"  5", 5), (b"5  ", 5), (b"\t5 \t", 5),
                      (b"0", 0), (b"00", 0), (b"0000000000000000000000000005", 5)]:
    good("C", "good-" + title(value),
         HEAD + b"Content-Length:" + value + b"\r\n\r\n" + b"hello-world"[:length],
         sees="content-length=%d;" % length)
case("C", "huge-but-legal", "", HEAD + b"Content-Length: 9223372036854775807\r\n\r\nhello", 0, "wait")
case("C", "more-than-32-bits", "", HEAD + b"Content-Length: 4294967301\r\n\r\nhello", 0, "wait")
good("C", "underscore-is-another-name", HEAD + b"Content_Length: 5\r\n\r\n", sees="content_length=5;")

# ---- D: chunked content ----

CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
for size in (b"+5", b"-5", b"0x5", b"5_", b"5_0", b" 5", b"5 ", b"\t5", b"5\t", b"5h", b"G", b"", b"-0",
             b"00x0", b"5,", b"5.0", b"\x005", b"5\x00", b"5\x0b", b"\xa05", b"5\xa0",
             b"00000000000000005", b"10000000000000005", b"8000000000000000",
             b"ffffffffffffffff", b"5 5", b"5\x0c", b"\"5\"", b"5 ;x", b"5; x", b"5;x =y", b"5;x= y"):
    bad("D", "size-" + (title(size) or "empty"), CHUNKED + size + b"\r\nhello\r\n0\r\n\r\n")
bad("D", "size-4096-zeros", [CHUNKED, Repeat(4096, b"0"), b"\r\n\r\n"])
bad("D", "size-these-bytes", CHUNKED + b"5these-bytes\r\nhello\r\n0\r\n\r\n")
for name, end in [("lf", b"\n"), ("cr", b"\r"), ("crcr", b"\r\r"), ("cr-x", b"\rX"), ("lflf", b"\n\n"),
                  ("nul", b"\x00"), ("crcrlf", b"\r\r\n"), ("nul-crlf", b"\x00\r\n")]:
    bad("D", "after-size-" + name, CHUNKED + b"5" + end + b"hello\r\n0\r\n\r\n")
    bad("D", "after-data-" + name, CHUNKED + b"5\r\nhello" + end + b"0\r\n\r\n")
    bad("D", "after-last-size-" + name, CHUNKED + b"5\r\nhello\r\n0" + end + b"\r\n")
    bad("D", "after-extension-name-" + name, CHUNKED + b"5;a" + end + b"hello\r\n0\r\n\r\n")
    bad("D", "after-extension-value-" + name, CHUNKED + b"5;a=b" + end + b"hello\r\n0\r\n\r\n")
    bad("D", "in-quoted-extension-" + name, CHUNKED + b"5;a=\"b" + end + b"c\"\r\nhello\r\n0\r\n\r\n")
    bad("D", "before-extension-" + name, CHUNKED + b"5" + end + b";a=b\r\nhello\r\n0\r\n\r\n")
    bad("D", "in-extension-" + name, CHUNKED + b"5;a" + end + b"b\r\nhello\r\n0\r\n\r\n")
    if name not in ("cr", "nul"):
        bad("D", "last-end-" + name, CHUNKED + b"5\r\nhello\r\n0\r\n" + end + b"X")
for name, spill in [("nothing", b""), ("x", b"X"), ("xx", b"XX"), ("space", b" "), ("digit", b"5")]:
    bad("D", "spill-" + name, CHUNKED + b"5\r\nhello" + spill + b"0\r\n\r\n")
bad("D", "spill-crlf-twice", CHUNKED + b"5\r\nhello\r\n\r\n0\r\n\r\n")
bad("D", "size-too-small", CHUNKED + b"4\r\nhello\r\n0\r\n\r\n")
bad("D", "size-too-large", CHUNKED + b"7\r\nhello\r\n0\r\n\r\n")
bad("D", "junk-size-then-request", CHUNKED + b"xyz\r\nGET /a HTTP/1.1\r\n\r\n")
for extension in (b";", b";;", b";=", b";a;", b";a=", b";=b", b";a=\"", b";a=\"b", b";a=\"b\"c", b";a=b=c",
                  b";a b", b";a=\"b\\", b";a=\x80", b";(a)=b"):
    bad("D", "extension-" + title(extension), CHUNKED + b"5" + extension + b"\r\nhello\r\n0\r\n\r\n")
bad("D", "extension-70-kB", [CHUNKED, b"5;a=", Repeat(70000, b"b"), b"\r\nhello\r\n0\r\n\r\n"])
bad("D", "extension-257", [CHUNKED, b"5;a=", Repeat(254, b"b"), b"\r\nhello\r\n0\r\n\r\n"])
bad("D", "extensions-201-of-1-kB",
    [CHUNKED] + [Repeat(1, b"1;a="), Repeat(1000, b"b"), b"\r\nx\r\n"] * 2 + [b"0\r\n\r\n"])
bad("D", "extensions-4097-in-all", [CHUNKED, Repeat(17, b"1;a=" + b"b" * 239 + b"\r\nx\r\n"), b"0\r\n\r\n"])
bad("D", "overhead-1-byte-chunks", [CHUNKED, Repeat(26000, b"1\r\nx\r\n"), b"0\r\n\r\n"])
for name, line in [("lf", b"X: y\n"), ("no-colon", b"X\r\n"), ("space-before-colon", b"X : y\r\n"),
                   ("fold", b"X: y\r\n z\r\n"), ("nul", b"X: \x00\r\n"), ("cr", b"X: y\rZ: a\r\n"),
                   ("empty-name", b": y\r\n"), ("non-token", b"X(y): z\r\n"), ("leading-space", b" X: y\r\n")]:
    bad("D", "trailer-" + name, CHUNKED + b"5\r\nhello\r\n0\r\n" + line + b"\r\n")
for name in (b"Content-Length", b"Transfer-Encoding", b"Host", b"Authorization", b"Connection", b"Cookie",
             b"Content-Type", b"X-Forwarded-For", b"TE", b"Trailer", b"Expect", b"Upgrade", b"Set-Cookie",
             b"Content-Encoding", b"Range", b"Cache-Control", b"Proxy", b"X_Forwarded_Host"):
    good("D", "forbidden-trailer-" + title(name).lower(),
         CHUNKED + b"5\r\nhello\r\n0\r\n" + name + b": 50\r\nX-Sum: 1\r\n\r\n", sees=" hello [x-sum=1;]")
for name, body in [("plain", b"5\r\nhello\r\n0\r\n\r\n"), ("two", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
                   ("zeros", b"0005\r\nhello\r\n000\r\n\r\n"), ("extension", b"5;a=b;c\r\nhello\r\n0;d=\"e f\\\"\"\r\n\r\n"),
                   ("sixteen-digits", b"0000000000000005\r\nhello\r\n0\r\n\r\n"),
                   ("extension-256", b"5;a=" + b"b" * 253 + b"\r\nhello\r\n0\r\n\r\n"),
                   ("quoted-obs-text", b"5;a=\"\x80\xff\t\"\r\nhello\r\n0\r\n\r\n")]:
    good("D", "good-" + name, CHUNKED + body, sees=" hello [")
good("D", "good-upper-case", CHUNKED + b"A\r\nhello-ten-\r\n0\r\n\r\n", sees=" hello-ten- [")
good("D", "good-empty", CHUNKED + b"0\r\n\r\n")
good("D", "good-trailer", CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: \x80 1 \r\nY:\r\n\r\n", sees=" hello [x-sum=\\x80 1;y=;]")
good("D", "good-then-next", CHUNKED + b"0\r\n\r\n" + NEXT, 2)

# ---- E: line ends and control bytes ----

for name, data in [
        ("lf-request-line", b"GET / HTTP/1.1\n" + HOST + b"\r\n"),
        ("lf-field", b"GET / HTTP/1.1\r\nHost: a\n\r\n"),
        ("lf-end", b"GET / HTTP/1.1\r\n" + HOST + b"\n"),
        ("lflf", b"GET / HTTP/1.1\n\n"),
        ("lf-all", b"GET / HTTP/1.1\nHost: a\n\n"),
        ("cr-request-line", b"GET / HTTP/1.1\r" + HOST + b"\r\n"),
        ("cr-field", b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"),
        ("cr-end", b"GET / HTTP/1.1\r\n" + HOST + b"\rX"),
        ("crcrlf", b"GET / HTTP/1.1\r\r\n" + HOST + b"\r\n"),
        ("crcrlf-field", b"GET / HTTP/1.1\r\n" + HOST[:-2] + b"\r\r\n\r\n"),
        ("crlf-cr-x", b"GET / HTTP/1.1\r\n" + HOST + b"\r\n\rX"[2:] + b"\r\n\r\n"),
        ("cr-before-name", b"GET / HTTP/1.1\r\n" + HOST + b"\rX: y\r\n\r\n"),
        ("lf-after-target", b"GET /\n HTTP/1.1\r\n" + HOST + b"\r\n"),
        ("lf-for-space", b"GET\n/ HTTP/1.1\r\n" + HOST + b"\r\n"),
        ("cr-in-target", b"GET /\rx HTTP/1.1\r\n" + HOST + b"\r\n"),
        ("leading-lf", b"\nGET / HTTP/1.1\r\n" + HOST + b"\r\n"),
        ("leading-cr", b"\rGET / HTTP/1.1\r\n" + HOST + b"\r\n"),
        ("two-empty-lines", b"\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n")]:
    bad("E", name, data)
bad("E", "5000-empty-lines", [Repeat(5000, b"\r\n"), b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"])
for c in list(range(0x20)) + [0x7F]:
    if c != 9:
        bad("E", "control-in-value-%02x" % c, b"GET / HTTP/1.1\r\n" + HOST + b"X: a" + bytes([c]) + b"b\r\n\r\n")
for c in (0x80, 0x85, 0xA0, 0xFF):
    b = bytes([c])
    good("E", "kept-in-value-%02x" % c,
         b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b + b"a" + b + b"b" + b + b" \r\n\r\n",
         sees="x=\\x%02xa\\x%02xb\\x%02x;" % (c, c, c))
good("E", "tab-in-value", b"GET / HTTP/1.1\r\n" + HOST + b"X:\t a\tb \t\r\n\r\n", sees="x=a\\tb;")
good("E", "one-empty-line", b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n")
good("E", "empty-line-between", b"GET / HTTP/1.1\r\n" + HOST + b"\r\n\r\n" + NEXT, 2)

# ---- F: field syntax ----

for c in range(256):
    if c in TOKEN or c == 0x3A:
        continue
    bad("F", "name-byte-%02x" % c, b"GET / HTTP/1.1\r\n" + HOST + b"X" + bytes([c]) + b"Y: z\r\n\r\n")
for name, line in [
        ("empty-name", b": z"), ("no-colon", b"XY"), ("space-before-colon", b"X : z"),
        ("tab-before-colon", b"X\t: z"), ("leading-space", b" X: z"), ("leading-tab", b"\tX: z"),
        ("fold-space", b"X: y\r\n z"), ("fold-tab", b"X: y\r\n\tz"), ("fold-blank", b"X: y\r\n "),
        ("fold-blank-tab", b"X: y\r\n\t"), ("brackets", b"X[]: z"), ("parentheses", b"(X): z"),
        ("slash", b"X/Y: z"), ("at", b"X@Y: z"), ("only-space", b" "), ("space-colon", b" : z")]:
    bad("F", name, b"GET / HTTP/1.1\r\n" + HOST + line + b"\r\n\r\n")
bad("F", "fold-before-first", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n")
for name, line, sees in [
        ("empty-value", b"X:", "x=;"), ("blank-value", b"X:  \t ", "x=;"), ("no-space", b"X:y", "x=y;"),
        ("colon-in-value", b"X: a:b", "x=a:b;"),
        ("token-punctuation", b"!#$%&'*+-.^_`|~09aZ: y", ";!#$%&'*+-.^_`|~09az=y;")]:
    good("F", "good-" + name, b"GET / HTTP/1.1\r\n" + HOST + line + b"\r\n\r\n", sees=sees)

# ---- G: request line, target, host, size ----

for line in (b"GET  / HTTP/1.1", b"GET /  HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET /\tHTTP/1.1", b"GET\x0b/ HTTP/1.1",
             b" GET / HTTP/1.1", b"\tGET / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET / HTTP/1.1\t", b"GET / http/1.1",
             b"GET / Http/1.1", b"GET / HTTP/1", b"GET / HTTP/1.", b"GET / HTTP/.1", b"GET / HTTP/1.10",
             b"GET / HTTP/01.1", b"GET / HTTP/+1.1", b"GET / HTTP/1,1", b"GET / HTTP/1 .1", b"GET / HTTP/4294967297.1",
             b"GET / ICE/1.0", b"GET / RTSP/1.0", b"GET / HTTP1.1", b"GET / HTTP", b"GET / HTTP/", b"GET /", b"GET",
             b"GET /a b HTTP/1.1", b"GET / HTTP/1.1 HTTP/1.1", b"G(T / HTTP/1.1", b"G,T / HTTP/1.1", b"GE\x80 / HTTP/1.1",
             b"\"GET\" / HTTP/1.1", b"GET: / HTTP/1.1", b" / HTTP/1.1", b"GET x HTTP/1.1", b"GET x/y HTTP/1.1",
             b"GET  HTTP/1.1", b"GET /#a HTTP/1.1", b"GET /a#b HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /\x7f HTTP/1.1",
             b"GET /\xff HTTP/1.1", b"GET /\xc3\xa9 HTTP/1.1", b"GET a.example:80 HTTP/1.1", b"GET a.example HTTP/1.1",
             b"GET * HTTP/1.1", b"POST * HTTP/1.1", b"GET ?q HTTP/1.1", b"GET ftp://a.example/ HTTP/1.1",
             b"GET http:/a.example/ HTTP/1.1", b"GET http:///x HTTP/1.1", b"GET http://u@a.example/ HTTP/1.1",
             b"GET http://a.example:x/ HTTP/1.1", b"GET http://a.example#f HTTP/1.1", b"OPTIONS ** HTTP/1.1",
             b"GET //:x@/ HTTP/1.1 x", b"connect a.example:80 HTTP/1.1", b"GET / HTTP/1.1\x00", b"GET / HTTP/1.x",
             b"GET / HTTP/x.1", b"GET / HTTP/-1.1"):
    bad("G", "line-" + title(line), line + b"\r\n" + HOST + b"\r\n")
for version in (b"0.9", b"2.0", b"3.0", b"5.6", b"1.2", b"1.9", b"0.0", b"9.9"):
    bad("G", "version-" + version.decode(), b"GET / HTTP/" + version + b"\r\n" + HOST + b"\r\n", 505)
bad("G", "version-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)
bad("G", "connect", b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", 501)
bad("G", "connect-origin-form", b"CONNECT / HTTP/1.1\r\n" + HOST + b"\r\n", 501)
bad("G", "method-5000", [Repeat(5000, b"A"), b" / HTTP/1.1\r\n" + HOST + b"\r\n"])
bad("G", "method-33", b"A" * 33 + b" / HTTP/1.1\r\n" + HOST + b"\r\n")
bad("G", "target-70000", [b"GET /", Repeat(70000, b"a"), b" HTTP/1.1\r\n" + HOST + b"\r\n"], 414)
bad("G", "line-8193", [b"GET /", Repeat(8179, b"a"), b" HTTP/1.1\r\n" + HOST + b"\r\n"], 414)
bad("G", "field-8193", [b"GET / HTTP/1.1\r\n" + HOST + b"X: ", Repeat(8190, b"a"), b"\r\n\r\n"], 431)
bad("G", "head-200-kB", [b"GET / HTTP/1.1\r\n" + HOST, Repeat(40, b"X: " + b"a" * 5000 + b"\r\n"), b"\r\n"], 431)
bad("G", "field-200-kB", [b"GET / HTTP/1.1\r\n" + HOST + b"X: ", Repeat(200000, b"a"), b"\r\n\r\n"], 431)
bad("G", "name-200-kB", [b"GET / HTTP/1.1\r\n" + HOST, Repeat(200000, b"a"), b": b\r\n\r\n"], 431)
bad("G", "fields-5000", [b"GET / HTTP/1.1\r\n" + HOST, Repeat(5000, b"X: a\r\n"), b"\r\n"], 431)
bad("G", "fields-101", [b"GET / HTTP/1.1\r\n" + HOST, Repeat(100, b"X: a\r\n"), b"\r\n"], 431)
bad("G", "cookie-100-kB", [b"GET / HTTP/1.1\r\n" + HOST + b"Cookie: ", Repeat(100000, b"c"), b"\r\n\r\n"], 431)
bad("G", "host-missing", b"GET / HTTP/1.1\r\nX: y\r\n\r\n")
bad("G", "host-twice", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")
bad("G", "host-two", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
bad("G", "host-twice-1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n")
for host in (b"", b" ", b"a,b", b"a b", b"a\x00", b"a/b", b"a?b", b"a#b", b"u@a", b"a\\b", b"a<b", b"a>b",
             b"http://a", b"a:x", b"a:65536", b"a:123456", b"a:-1", b"a:80:80", b"[::1", b"::1", b"[::1]x",
             b"[:::1]", b"[1:2:3:4:5:6:7:8:9]", b"[1:2]", b"[g::]", b"[::1.2.3.256]", b"[]", b"[::1]:x", b":80",
             b"a\x80", b"a%4", b"a%zz", b"a\"b", b"{a}", b"a|b", b"a^b", b"a`b", b"[::1%25lo]", b"[a]", b"a]"):
    bad("G", "host-" + (title(host) or "empty"), b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
bad("G", "host-256", [b"GET / HTTP/1.1\r\nHost: ", Repeat(256, b"a"), b"\r\n\r\n"])
for name, target, host in [("other", b"http://a.example/", b"b.example"), ("other-port", b"http://a.example:81/", b"a.example"),
                           ("https-80", b"https://a.example/", b"a.example:80"), ("longer", b"http://a.example/", b"a.example.b")]:
    bad("G", "absolute-" + name, b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
bad("G", "absolute-no-host", b"GET http://a.example/ HTTP/1.1\r\n\r\n")
for target, host, sees in [
        (b"http://a.example/x?y", b"a.example", "GET http://a.example/x?y a.example"),
        (b"HTTP://A.Example/x", b"a.example", "A.Example"),
        (b"http://a.example:80/", b"a.example", "a.example:80"), (b"http://a.example/", b"a.example:80", "a.example"),
        (b"https://a.example/", b"a.example:443", "a.example"), (b"http://a.example", b"a.example", "a.example"),
        (b"http://a.example?q", b"a.example", "a.example"), (b"http://[::1]:8080/", b"[::1]:8080", "[::1]:8080")]:
    good("G", "absolute-good-%s-%s" % (title(target), title(host)),
         b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", sees=sees)
good("G", "absolute-no-host-1.0", b"GET http://a.example/ HTTP/1.0\r\n\r\n", sees=" a.example", then="closed")
for host in (b"a", b"a.example:8080", b"127.0.0.1", b"[::1]", b"[::1]:80", b"a-b_c.d~e", b"a%20b", b"[::ffff:1.2.3.4]",
             b"[1:2:3:4:5:6:7:8]", b"[1::8]", b"a:", b"xn--bcher-kva.example", b"A.EXAMPLE", b"[1:2:3:4:5:6:1.2.3.4]"):
    good("G", "host-good-" + title(host), b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
         sees=" " + host.decode() + " [")
for target in (b"//a", b"/a/../b", b"/%2e%2e/x", b"/a%2fb", b"/%00", b"/a\\b", b"/?a|b{c}^d\"<e>`", b"/a?b?c",
               b"/a;b=c", b"/%", b"/%zz", b"/?", b"/a:b@c", b"/http://b/"):
    good("G", "target-raw-" + title(target), b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n",
         sees="GET " + target.decode().replace("\\", "\\\\") + " a.example")
good("G", "options-asterisk", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", sees="OPTIONS * ")
good("G", "method-custom", b"brew!/ / HTTP/1.1\r\n".replace(b"!/", b"!") + HOST + b"\r\n", sees="brew! / ")
good("G", "method-lower", b"get / HTTP/1.1\r\n" + HOST + b"\r\n", sees="get / ")
good("G", "method-32", b"A" * 32 + b" / HTTP/1.1\r\n" + HOST + b"\r\n")
good("G", "target-8000", [b"GET /", Repeat(7999, b"a"), b" HTTP/1.1\r\n" + HOST + b"\r\n"])
good("G", "line-8192", [b"GET /", Repeat(8178, b"a"), b" HTTP/1.1\r\n" + HOST + b"\r\n"])
good("G", "field-8192", [b"GET / HTTP/1.1\r\n" + HOST + b"X: ", Repeat(8189, b"a"), b"\r\n\r\n"])
good("G", "fields-100", [b"GET / HTTP/1.1\r\n" + HOST, Repeat(99, b"X: a\r\n"), b"\r\n"])
good("G", "1.0", b"GET / HTTP/1.0\r\n\r\n", sees="GET /  [", then="closed")
good("G", "1.0-keep-alive", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")

# ---- H: meaning ----

for method in (b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE"):
    inner = b"GET /inner HTTP/1.1\r\nHost: b\r\n\r\n"
    good("H", "cl-body-is-a-request-" + method.decode(),
         method + b" /outer HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(inner) + inner,
         sees="!GET /inner b")
    good("H", "te-body-is-a-request-" + method.decode(),
         method + b" /outer HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(inner) + inner +
         b"\r\n0\r\n\r\n", sees="!GET /inner b")
    good("H", "cl-0-then-request-" + method.decode(),
         method + b" /outer HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n" + inner, 2, sees="GET /inner b")
POST5 = HEAD + b"Content-Length: 5\r\n"
for value, status in [(b"x 100-continue", 417), (b"100-continue\x00", 400), (b"100-continue, 100-continue", 417),
                      (b"100-continue, x", 417), (b"\r\n 100-continue", 400), (b"200-ok", 417), (b"", 417),
                      (b"100-continue;q=1", 417), (b"100", 417), (b"\"100-continue\"", 417)]:
    bad("H", "expect-" + (title(value) or "empty"), POST5 + b"Expect: " + value + b"\r\n\r\nhello", status)
bad("H", "expect-twice", POST5 + b"Expect: 100-continue\r\nExpect: 100-continue\r\n\r\nhello", 417)
good("H", "expect-good", POST5 + b"Expect: 100-Continue\r\n\r\nhello", sees="!expect=")
good("H", "expect-no-content", b"GET / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\n\r\n")
good("H", "expect-1.0", b"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: nonsense\r\n\r\nhello", then="closed")
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
good("H", "upgrade-refused-then-request", b"GET / HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n" + NEXT, 2)
good("H", "upgrade-with-content", b"GET / HTTP/1.1\r\n" + HOST + UPGRADE + b"Content-Length: 5\r\n\r\nhello", sees="!upgrade=")
good("H", "upgrade-h2c", b"GET / HTTP/1.1\r\n" + HOST +
     b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", sees="!http2-settings")
good("H", "upgrade-tls", b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", sees="!upgrade=")
for name in (b"Host", b"Content-Length", b"Transfer-Encoding", b"Authorization", b"Cookie", b"Content-Type",
             b"X-Forwarded-For", b"x-forwarded-anything", b"X_Forwarded_For", b"Forwarded", b"X-Real-IP", b"Origin",
             b"Cache-Control", b"X-Routed-Id", b"Client-Cert", b"Expect", b"Range", b"Sec-WebSocket-Key"):
    bad("H", "connection-names-" + title(name), POST5 + b"Connection: close, " + name + b"\r\n\r\nhello")
bad("H", "connection-not-a-token", POST5 + b"Connection: a b\r\n\r\nhello")
bad("H", "connection-17-options", POST5 + b"Connection: " + b",".join(b"x%d" % i for i in range(17)) + b"\r\n\r\nhello")
good("H", "connection-names-own-field",
     b"GET / HTTP/1.1\r\n" + HOST + b"X-Hop: 1\r\nConnection: keep-alive, X-Hop,, TE\r\nTE: trailers\r\nX-End: 2\r\nx-hop: 3\r\n\r\n",
     sees="[host=a.example;x-end=2;]")
good("H", "hop-by-hop-removed",
     b"GET / HTTP/1.1\r\n" + HOST + b"Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: x\r\nTrailer: y\r\nUpgrade: z\r\n\r\n",
     sees="[host=a.example;]")
good("H", "three-pipelined", [Repeat(3, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")], 3)
good("H", "seventeen-pipelined", [Repeat(17, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")], 17)
good("H", "after-close", b"GET /a HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n" + NEXT, sees="!smuggled", then="closed")
good("H", "after-1.0", b"GET /a HTTP/1.0\r\n" + HOST + b"\r\n" + NEXT, sees="!smuggled", then="closed")
good("H", "close-wins", b"GET / HTTP/1.1\r\n" + HOST + b"Connection: keep-alive, close\r\n\r\n", then="closed")
case("H", "good-then-junk", "200,400", b"GET / HTTP/1.1\r\n" + HOST + b"\r\n" + b"\x16\x03\x01junk", 1)
case("H", "three-good-then-bad", "200,200,200,400",
     [Repeat(3, b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"), b"GET / HTTP/1.1\r\n\r\n" + NEXT], 3)
good("H", "1.0-content-without-length", b"POST / HTTP/1.0\r\n" + HOST + b"\r\nhello", then="closed", sees="!hello")
for name in (b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host", b"X-Forwarded-Port", b"X-Forwarded-Whatever",
             b"Forwarded", b"Proxy", b"X_Forwarded_For", b"x-forwarded_for", b"Client-Cert", b"Client_Cert", b"REMOTE_USER",
             b"Remote-User", b"X-Real-IP", b"X-Routed-Peer", b"x_routed_peer", b"Client-Cert-Chain", b"X-Forwarded"):
    good("H", "identity-" + title(name), b"GET / HTTP/1.1\r\n" + HOST + name + b": forged\r\n\r\n", sees="[host=a.example;]")
good("H", "underscore-kept", b"GET / HTTP/1.1\r\n" + HOST + b"X_Custom: 1\r\n\r\n", sees="x_custom=1;")

# ---- W: every proper prefix of a good request ----

REQUEST = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
for size in range(1, len(REQUEST)):
    case("W", "prefix-%02d" % size, "", REQUEST[:size], 0, "wait")
CHUNKED_REQUEST = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"
for size in range(1, len(CHUNKED_REQUEST)):
    case("W", "chunked-prefix-%02d" % size, "", CHUNKED_REQUEST[:size], 0, "wait")


def main():
    names = [(row, name) for row, name, *_ in CASES]
    assert len(names) == len(set(names)), [n for n in names if names.count(n) > 1]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "requests.tsv")
    with open(path, "w", encoding="ascii", newline="\n") as out:
        out.write("# row\tname\tstatuses\tcomplete\tthen\tsees\tinput; written by generate.py\n")
        for fields in CASES:
            assert not any("\t" in f or "\n" in f for f in fields), fields
            out.write("\t".join(fields) + "\n")


if __name__ == "__main__":
    main()
