# shellcheck shell=bash
# Python packages in a virtual environment that sees Debian's own as well. Sourced by ./dev.

# python_ensure LIST FOLDER: makes the environment FOLDER with the packages of LIST, unless it is
# there for this list and this Python already. A failed attempt leaves none behind.
python_ensure() {
    local list=$1 folder=$2 made_for log
    made_for=$("$PYTHON" -V && cat "$list") || return 1
    if [[ $(cat "$folder/made-for" 2>/dev/null) == "$made_for" ]]; then
        return 0
    fi
    say "packages: making $folder"
    rm -rf "$folder"
    log=$(mktemp)
    if ! {
        "$PYTHON" -m venv --system-site-packages "$folder" &&
            "$folder/bin/python" -m pip install --only-binary :all: -r "$list"
    } >"$log" 2>&1 </dev/null; then
        tail -n 25 "$log" >&2
        rm -rf "$log" "$folder"
        say "packages: the Python packages of $list cannot be installed"
        return 1
    fi
    rm -f "$log"
    printf '%s\n' "$made_for" >"$folder/made-for"
}
