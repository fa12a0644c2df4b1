# shellcheck shell=bash
# A curl that speaks HTTP/3. Sourced by ./dev after tools/packages.sh.

# curl_ensure FOLDER: FOLDER/curl is the machine's own where it can. Debian 12 has HTTP/3 in the
# libcurl of its backports that is built with GnuTLS, but links the program to the other one: then
# both are taken from there, not installed, and joined in FOLDER.
curl_ensure() {
    local folder=$1 codename
    [[ -x $folder/curl ]] && "$folder/curl" -V 2>/dev/null | grep -q HTTP3 && return 0
    rm -rf "$folder"
    mkdir -p "$folder"
    if curl -V | grep -q HTTP3; then
        ln -s "$(command -v curl)" "$folder/curl"
        return 0
    fi
    codename=$(os_release VERSION_CODENAME)
    say "packages: taking curl with HTTP/3 from $codename-backports into $folder"
    bring "$folder" "there is no curl with HTTP/3 here" curl_take "$folder" "$codename-backports"
}

curl_take() {
    local folder=$1 suite=$2
    (cd "$folder" &&
        apt-get "${ROUTED_APT_OPTIONS[@]}" -q download "curl/$suite" "libcurl3-gnutls/$suite") &&
        curl_join "$folder" && "$folder/curl" -V | grep HTTP3
}

curl_join() {
    local folder=$1 library
    unpack_packages "$folder" || return 1
    library=$(compgen -G "$folder/root/usr/lib/*/libcurl-gnutls.so.4") || return 1
    mkdir -p "$folder/lib"
    cp -L "$library" "$folder/lib/libcurl.so.4"
    "$PYTHON" tools/join_curl.py "$folder/root/usr/bin/curl" "$folder/lib/curl" || return 1
    rm -rf "$folder/root"
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s/curl" "$@"\n' "$folder/lib" "$folder/lib" >"$folder/curl"
    chmod +x "$folder/curl"
}
