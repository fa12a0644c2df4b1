"""Keys and certificates for tests, made by openssl."""

import os
import shutil
import subprocess


def openssl(*arguments, data=b"", check=True):
    """All that it says."""
    result = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, timeout=60)
    assert not check or result.returncode == 0, result.stderr.decode()
    return result.stdout.decode(errors="replace") + result.stderr.decode(errors="replace")


def make_key(path, kind="ec"):
    if kind == "ec":
        openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", path)
    else:
        openssl("genrsa", "-out", path, "2048")
    return path


def make_authority(folder, name):
    """NAME.pem and NAME-key.pem."""
    openssl("req", "-x509", "-new", "-key", make_key(folder / f"{name}-key.pem"), "-subj", f"/CN={name}", "-days", "9",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", folder / f"{name}.pem")  # fmt: skip


def issue(folder, name, subject, extensions, authority, kind="ec"):
    """NAME.pem and NAME-key.pem; extensions as a configuration of openssl has them."""
    request, settings = folder / f"{name}.csr", folder / f"{name}.ext"
    settings.write_text(extensions)
    openssl("req", "-new", "-key", make_key(folder / f"{name}-key.pem", kind), "-subj", subject, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", folder / f"{authority}.pem", "-CAkey", folder / f"{authority}-key.pem",
            "-CAcreateserial", "-days", "90", "-extfile", settings, "-out", folder / f"{name}.pem")  # fmt: skip


def put_pair(pair, certificate, key):
    """PAIR.pem and PAIR-key.pem where a server reads them; each changes at once."""
    for source, target in ((f"{pair}.pem", certificate), (f"{pair}-key.pem", key)):
        aside = target.with_suffix(".new")
        shutil.copyfile(source, aside)
        os.replace(aside, target)
