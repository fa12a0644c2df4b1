# shellcheck shell=bash
# Packages through the machine's own apt configuration. Sourced by ./dev; prints on its own behalf
# only what it is about to change. ROUTED_APT_OPTIONS (an array) lets the tests point apt elsewhere.

ROUTED_APT_OPTIONS=()

# packages_wanted FILE SECTION...: the entries of these sections, one a line.
packages_wanted() {
    local file=$1
    shift
    awk -v wanted=" $* " '
        { sub(/#.*/, ""); gsub(/[ \t]/, "") }
        /^\[/ { section = substr($0, 2, length($0) - 2); next }
        $0 != "" && index(wanted, " " section " ") && !seen[$0]++ { print }
    ' "$file"
}

# package_name ENTRY: the name of the package in an entry.
package_name() {
    local entry=${1%%>=*}
    entry=${entry%\?}
    printf '%s\n' "${entry#*=}"
}

# package_floor ENTRY: the lowest version an entry accepts, or nothing.
package_floor() {
    case $1 in
    *">="*) printf '%s\n' "${1#*>=}" ;;
    esac
}

package_installed_version() {
    # shellcheck disable=SC2016 # a format of dpkg-query, not of the shell
    dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
        awk '$1 == "installed" { print $2; exit }'
}

package_candidate() {
    apt-cache "${ROUTED_APT_OPTIONS[@]}" policy "$1" 2>/dev/null |
        awk '$1 == "Candidate:" && $2 != "(none)" { print $2; exit }'
}

# package_is_present ENTRY: nothing has to be done for this entry.
package_is_present() {
    local entry=$1 name floor version
    name=$(package_name "$entry")
    floor=$(package_floor "$entry")
    version=$(package_installed_version "$name")
    if [[ -n $version ]]; then
        [[ -z $floor ]] || dpkg --compare-versions "$version" ge "$floor"
        return
    fi
    if [[ ${entry%%>=*} == *=* ]] && command -v "${entry%%=*}" >/dev/null; then
        return 0
    fi
    [[ $entry == *\? && -z $(package_candidate "$name") ]]
}

# packages_missing FILE SECTION...: the entries that have to be installed, one a line.
packages_missing() {
    local entry
    while IFS= read -r entry; do
        package_is_present "$entry" || printf '%s\n' "$entry"
    done < <(packages_wanted "$@")
}

# backports_source CODENAME: a source of apt for the backports of this release. Prints nothing when
# they are configured already; fails when no entry brings the release.
backports_source() {
    suite_is_configured "$1-backports" || suite_source "$1" "$1-backports"
}

suite_targets() {
    # shellcheck disable=SC2016 # a format of apt-get, not of the shell
    apt-get "${ROUTED_APT_OPTIONS[@]}" indextargets --no-release-info \
        --format '$(CREATED_BY) $(RELEASE) $(SOURCESENTRY)' 2>/dev/null
}

suite_is_configured() {
    grep -q "^Packages $1 " <<<"$(suite_targets)"
}

# suite_source CODENAME SUITE: a source of apt for this suite, derived from the entry that brings
# the release CODENAME: same place, same components, same key. Fails when no entry brings it.
suite_source() {
    local codename=$1 suite=$2 file
    file=$(awk -v codename="$codename" '
        $1 == "Packages" && $2 == codename { sub(/:[0-9]+$/, "", $3); print $3; exit }
    ' <<<"$(suite_targets)")
    [[ -n $file ]] || return 1
    case $file in
    *.sources) suite_stanza "$codename" "$suite" "$file" ;;
    *) suite_line "$codename" "$suite" "$file" ;;
    esac
}

# The first one-line entry with this codename, as a deb822 stanza of its own for the suite.
suite_line() {
    awk -v codename="$1" -v suite="$2" '
        $1 == "deb" {
            line = $0
            sub(/^deb[ \t]+/, "", line)
            options = ""
            if (match(line, /^\[[^]]*\][ \t]+/)) {
                options = substr(line, 2, RLENGTH - 2)
                sub(/\].*/, "", options)
                line = substr(line, RLENGTH + 1)
            }
            sub(/#.*/, "", line)
            count = split(line, word, /[ \t]+/)
            if (word[2] != codename) next
            print "Types: deb\nURIs: " word[1] "\nSuites: " suite
            printf "Components:"
            for (i = 3; i <= count; i++) if (word[i] != "") printf " %s", word[i]
            print ""
            count = split(options, option, /[ \t]+/)
            for (i = 1; i <= count; i++) {
                split(option[i], pair, "=")
                value = substr(option[i], length(pair[1]) + 2)
                gsub(/,/, " ", value)
                key = tolower(pair[1])
                if (key == "signed-by") print "Signed-By: " value
                if (key == "trusted") print "Trusted: " value
                if (key == "arch") print "Architectures: " value
            }
            exit
        }
    ' "$3"
}

# The first stanza with this codename, its Suites replaced. An embedded key, which goes on over
# several lines, is kept.
suite_stanza() {
    awk -v codename="$1" -v suite="$2" '
        function flush() {
            if (found && !off && !done) { printf "%s", stanza; done = 1 }
            stanza = ""; found = 0; off = 0; held = ""
        }
        /^[ \t]*$/ { flush(); next }
        /^#/ { next }
        {
            field = tolower($1)
            if ($0 !~ /^[ \t]/) held = field
            if (held == "suites:") {
                for (i = 1; i <= NF; i++) if ($i == codename) found = 1
                if (field == "suites:") stanza = stanza "Suites: " suite "\n"
                next
            }
            if (field == "enabled:" && tolower($2) ~ /^(no|false|off|0)$/) off = 1
            if (field == "types:") { stanza = stanza "Types: deb\n"; next }
            stanza = stanza $0 "\n"
        }
        END { flush() }
    ' "$3"
}

# os_release KEY: what the machine says about its system.
os_release() {
    awk -F= -v key="$1" '$1 == key { gsub(/"/, "", $2); print $2; exit }' /etc/os-release
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "packages: this needs root, and there is no sudo: $*"
        return 1
    fi
}

# apt_quietly ARGUMENT...: apt-get with its words kept in a log, shown when it fails.
apt_quietly() {
    mkdir -p "$CACHE"
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get "${ROUTED_APT_OPTIONS[@]}" -q -y \
        -o DPkg::Lock::Timeout=300 "$@" >"$CACHE/apt.log" 2>&1 </dev/null; then
        tail -n 25 "$CACHE/apt.log" >&2
        return 1
    fi
}

# bring FOLDER WITHOUT COMMAND...: runs a command that fills FOLDER. Where it fails, the end of what
# it said and WITHOUT are told, and the folder is gone.
bring() {
    local folder=$1 without=$2 status=0 log
    shift 2
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 25 "$log" >&2
        rm -rf "$folder"
        say "packages: $without"
        status=1
    fi
    rm -f "$log"
    return "$status"
}

# unpack_packages FOLDER: the packages that were downloaded into it, into FOLDER/root.
unpack_packages() {
    local folder=$1 package
    for package in "$folder"/*.deb; do
        dpkg-deb -x "$package" "$folder/root" || return 1
        rm "$package"
    done
}

# The entries among ENTRY... that the configured suites cannot satisfy.
packages_too_old() {
    local entry floor
    for entry in "$@"; do
        floor=$(package_floor "$entry")
        if [[ -n $floor ]] &&
            ! dpkg --compare-versions "$(package_candidate "$(package_name "$entry")")" ge "$floor"; then
            printf '%s\n' "$entry"
        fi
    done
}

packages_from_backports() {
    local codename source names=() entry
    codename=$(os_release VERSION_CODENAME)
    if ! source=$(backports_source "$codename"); then
        say "packages: no configured source brings $codename, so its backports are not known"
        return 1
    fi
    if [[ -n $source ]]; then
        say "packages: adding $codename-backports as /etc/apt/sources.list.d/$codename-backports.sources"
        as_root tee "/etc/apt/sources.list.d/$codename-backports.sources" <<<"$source" >/dev/null
        apt_quietly update || return 1
    fi
    for entry in "$@"; do
        names+=("$(package_name "$entry")")
    done
    say "packages: installing from $codename-backports: ${names[*]}"
    apt_quietly install --no-install-recommends -t "$codename-backports" "${names[@]}"
}

# packages_ensure FILE SECTION...: installs what is missing, and only that.
packages_ensure() {
    local missing=() old=() names=() entry
    mapfile -t missing < <(packages_missing "$@")
    ((${#missing[@]})) || return 0
    if ! command -v apt-get >/dev/null; then
        say "packages: no apt-get here; install by hand: ${missing[*]}"
        return 1
    fi
    say "packages: reading the lists of apt"
    apt_quietly update || say "packages: the lists could not be read anew; going on with the old ones"
    mapfile -t missing < <(packages_missing "$@")
    mapfile -t old < <(packages_too_old "${missing[@]}")
    for entry in "${missing[@]}"; do
        [[ " ${old[*]} " == *" $entry "* ]] || names+=("$(package_name "$entry")")
    done
    if ((${#names[@]})); then
        say "packages: installing ${names[*]}"
        apt_quietly install --no-install-recommends "${names[@]}" || return 1
    fi
    if ((${#old[@]})); then
        packages_from_backports "${old[@]}" || return 1
    fi
    mapfile -t missing < <(packages_missing "$@")
    if ((${#missing[@]})); then
        say "packages: still missing: ${missing[*]}"
        return 1
    fi
}
