# shellcheck shell=bash
# An nginx that speaks HTTP/3, for the benchmark. Sourced by ./dev after tools/packages.sh.

# The first Debian whose nginx is built with HTTP/3, and all that this nginx loads there: its C
# library may be newer than the machine's.
NGINX_SUITE=trixie
NGINX_PACKAGES=(nginx libc6 libcrypt1 libpcre2-8-0 libssl3t64 libzstd1 zlib1g)

# nginx_ensure FOLDER: FOLDER/nginx is the machine's own where it can. Debian 12 has 1.22: then the
# one of the next release is taken from where the machine takes its own packages, not installed,
# and started through the dynamic linker that comes with it.
nginx_ensure() {
    local folder=$1
    nginx_has_http3 "$folder/nginx" && return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    if nginx_has_http3 nginx; then
        ln -s "$(command -v nginx)" "$folder/nginx"
        return 0
    fi
    say "packages: taking nginx with HTTP/3 from $NGINX_SUITE into $folder"
    bring "$folder" "there is no nginx with HTTP/3 here" nginx_take "$folder"
}

nginx_take() {
    nginx_download "$1" && nginx_join "$1" && nginx_has_http3 "$1/nginx"
}

nginx_has_http3() {
    command -v "$1" >/dev/null && grep -q http_v3_module <<<"$("$1" -V 2>&1)"
}

nginx_version() { "$1" -v 2>&1 | head -n 1; }

# With lists of its own: the machine's apt does not learn of the other release.
nginx_download() {
    local folder=$1 root=$1/apt options source
    source=$(suite_source "$(os_release VERSION_CODENAME)" "$NGINX_SUITE") || return 1
    mkdir -p "$root/lists/partial" "$root/archives/partial"
    printf '%s' "$source" >"$root/suite.sources"
    touch "$root/status"
    options=(-o "Dir::Etc::SourceList=$root/suite.sources" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$root/lists" -o "Dir::State::status=$root/status" -o "Dir::Cache=$root")
    apt-get "${options[@]}" -q update &&
        (cd "$folder" && apt-get "${options[@]}" -q download "${NGINX_PACKAGES[@]}") &&
        rm -rf "$root"
}

nginx_join() {
    local folder=$1 linker
    unpack_packages "$folder" || return 1
    linker=$(cd "$folder" && compgen -G "root/usr/lib/*/ld-linux-*.so.*") || return 1
    cat >"$folder/nginx" <<TEXT
#!/bin/sh
here=\$(dirname "\$(realpath "\$0")")
exec "\$here/$linker" --library-path "\$here/$(dirname "$linker")" "\$here/root/usr/sbin/nginx" "\$@"
TEXT
    chmod +x "$folder/nginx"
}
