# shellcheck shell=bash
# Python packages in a virtual environment that sees Debian's own as well. Sourced by ./dev, behind
# tools/packages.sh.

# python_ensure LIST FOLDER: makes the environment FOLDER with the packages of LIST, unless it is
# there for this list and this Python already. A failed attempt leaves none behind.
python_ensure() {
    local list=$1 folder=$2 made_for
    made_for=$("$PYTHON" -V && cat "$list") || return 1
    if [[ $(cat "$folder/made-for" 2>/dev/null) == "$made_for" ]]; then
        return 0
    fi
    say "packages: making $folder"
    rm -rf "$folder"
    bring "$folder" "the Python packages of $list cannot be installed" \
        python_make "$list" "$folder" || return 1
    printf '%s\n' "$made_for" >"$folder/made-for"
}

python_make() {
    "$PYTHON" -m venv --system-site-packages "$2" &&
        "$2/bin/python" -m pip install --only-binary :all: -r "$1"
}
