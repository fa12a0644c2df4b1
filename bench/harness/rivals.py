"""What people would use instead, with one worker each and the same answers."""

import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile

# The machine's own nginx has no HTTP/3 on Debian 12: tools/nginx.sh leaves one here.
NGINX_HTTP3 = pathlib.Path(__file__).parents[2] / ".cache/nginx/nginx"
PROGRAMS = {"nginx": "nginx", "nginx_unix_nginx": "nginx", "nginx_http3": NGINX_HTTP3, "h2o": "h2o", "caddy": "caddy",
            "ngtcp2": "gtlsserver"}
NAMES = tuple(PROGRAMS)
SIZES = (100 * 1024, 10 * 1024 * 1024)
HOLE = 1024 * 1024 * 1024  # a file of zeros that takes no room on the disk

NGINX = """
daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/pid;
error_log {folder}/error.log error;
events {{ worker_connections 16000; }}
http {{
    access_log off; sendfile on; tcp_nopush on;
    keepalive_requests 1000000000; keepalive_timeout 1h; keepalive_time 10h;
    client_max_body_size 0; client_header_timeout 1h; http2_max_concurrent_streams 256;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    ssl_certificate {folder}/certificate.pem; ssl_certificate_key {folder}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
    {body}
}}
"""
NGINX_LISTEN = """listen {host}:{h1} backlog=1024; listen {host}:{h1s} ssl http2 backlog=1024;
    listen {host}:{h2c} http2 backlog=1024;"""
NGINX_LISTEN_QUIC = "listen {host}:{h3} quic; http3_max_concurrent_streams 256; quic_gso on;"
NGINX_ANSWER = """server {{ {listen} root {folder}/www;
    location = /bench {{ default_type application/json; return 200 '{{"ok":true,"label":"nginx"}}'; }} }}"""
NGINX_FRONT = """upstream engine {{ server unix:{back}; keepalive 1024; keepalive_requests 1000000000; }}
server {{ {listen} location / {{
    proxy_pass http://engine; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_request_buffering off; proxy_max_temp_file_size 0; }} }}"""

H2O = """
num-threads: 1
max-connections: 16000
{user}http1-request-timeout: 3600
http2-idle-timeout: 3600
listen: {{host: "{host}", port: {h1}}}
listen:
  host: "{host}"
  port: {h1s}
  ssl: {{certificate-file: {folder}/certificate.pem, key-file: {folder}/key.pem}}
{quic}hosts:
  default:
    paths:
      /:
        file.dir: {folder}/www
"""

H2O_QUIC = """listen:
  type: quic
  host: "{host}"
  port: {h1s}
  ssl: {{certificate-file: {folder}/certificate.pem, key-file: {folder}/key.pem}}
"""

CADDY_HEAD = """
{
    admin off
    auto_https off
    log {
        output discard
    }
    servers {
        protocols h1 h2 h2c h3
    }
}
"""
CADDY_SITE = """
    bind {host}
    {tls}
    respond /bench `{{"ok":true,"label":"caddy"}}` 200
    root * {folder}/www
    file_server
"""


def temporary_folder():
    return tempfile.TemporaryDirectory(prefix="routed-bench-", ignore_cleanup_errors=True)


def write_files(folder, address):
    """A certificate, and the files that rivals serve."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=localhost", "-addext", f"subjectAltName=DNS:localhost,IP:{address}",
         "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
        check=True, capture_output=True,
    )
    content = folder / "www/bytes"
    content.mkdir(parents=True)
    for size in SIZES:
        (content / str(size)).write_bytes(b"x" * size)
    with open(content / str(HOLE), "wb") as file:
        file.truncate(HOLE)
    (folder / "www/bench").write_text(json.dumps({"ok": True, "label": "h2o"}, separators=(",", ":")))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (folder / "key.pem").chmod(0o600)


def free_ports(address, count):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    probes = [socket.socket(family) for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((address, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _nginx(house, name, body, program="nginx"):
    folder = house.folder / name
    folder.mkdir()
    config = folder / "nginx.conf"
    for file in ("certificate.pem", "key.pem"):
        (folder / file).write_bytes((house.folder / file).read_bytes())
    config.write_text(NGINX.format(folder=folder, body=body))
    return house.run([program, "-p", folder, "-e", folder / "error.log", "-c", config])


def _in_brackets(address):
    return f"[{address}]" if ":" in address else address


def _nginx_ports(house):
    h1, h1s, h2c = free_ports(house.address, 3)
    listen = NGINX_LISTEN.format(host=_in_brackets(house.address), h1=h1, h1s=h1s, h2c=h2c)
    return {"h1": h1, "h1s": h1s, "h2": h1s, "h2c": h2c}, listen


def start_nginx(house):
    ports, listen = _nginx_ports(house)
    return [_nginx(house, "nginx", NGINX_ANSWER.format(listen=listen, folder=house.folder))], ports


def start_nginx_unix_nginx(house):
    ports, listen = _nginx_ports(house)
    back = house.folder / "engine.socket"
    engine = _nginx(house, "nginx-engine", NGINX_ANSWER.format(listen=f"listen unix:{back};", folder=house.folder))
    front = _nginx(house, "nginx-front", NGINX_FRONT.format(listen=listen, back=back))
    return [front, engine], ports


def start_nginx_http3(house):
    port = free_ports(house.address, 1)[0]
    body = NGINX_ANSWER.format(listen=NGINX_LISTEN_QUIC.format(host=_in_brackets(house.address), h3=port), folder=house.folder)
    return [_nginx(house, "nginx-http3", body, NGINX_HTTP3)], {"h3": port}


def _h2o_has_http3():
    """Since 2.3, which no distribution has yet."""
    try:
        said = subprocess.run(["h2o", "--version"], capture_output=True, text=True, timeout=5).stdout
    except subprocess.TimeoutExpired:
        return False
    version = re.match(r"h2o version (\d+)\.(\d+)", said)
    return version is not None and tuple(map(int, version.groups())) >= (2, 3)


def start_h2o(house):
    h1, h1s = free_ports(house.address, 2)
    ports, quic = {"h1": h1, "h1s": h1s, "h2": h1s, "h2c": h1}, ""
    if _h2o_has_http3():
        ports["h3"], quic = h1s, H2O_QUIC.format(host=house.address, folder=house.folder, h1s=h1s)
    config = house.folder / "h2o.conf"
    # As root it would become a user who may not read the folder.
    user = "user: root\n" if os.geteuid() == 0 else ""
    config.write_text(H2O.format(host=house.address, folder=house.folder, h1=h1, h1s=h1s, user=user, quic=quic))
    process = house.run(["h2o", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [process], ports


def start_caddy(house):
    h1, h1s = free_ports(house.address, 2)
    config = house.folder / "Caddyfile"
    tls = f"tls {house.folder}/certificate.pem {house.folder}/key.pem"
    plain, secure = (CADDY_SITE.format(host=house.address, tls=text, folder=house.folder) for text in ("", tls))
    config.write_text(CADDY_HEAD + f"http://:{h1} {{{plain}}}\n"
                      f"https://:{h1s} {{{secure}}}\n")
    home = pathlib.Path(house.folder, "caddy")
    home.mkdir()
    process = house.run(
        ["env", f"HOME={home}", f"XDG_DATA_HOME={home}", f"XDG_CONFIG_HOME={home}", "GOMAXPROCS=1",
         "caddy", "run", "--config", config, "--adapter", "caddyfile"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    return [process], {"h1": h1, "h1s": h1s, "h2": h1s, "h2c": h1, "h3": h1s}


def start_ngtcp2(house):
    """The example server of the library that we use too: what HTTP/3 costs with nothing around it."""
    port = free_ports(house.address, 1)[0]
    certificate, key = house.certificate
    process = house.run(
        ["gtlsserver", "-q", "--no-quic-dump", "--no-http-dump", "--timeout=1h", "--max-streams-bidi=256",
         "-d", house.folder / "www", house.address, str(port), key, certificate],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    return [process], {"h3": port}


START = {"nginx": start_nginx, "nginx_unix_nginx": start_nginx_unix_nginx, "nginx_http3": start_nginx_http3,
         "h2o": start_h2o, "caddy": start_caddy, "ngtcp2": start_ngtcp2}
