# shellcheck shell=bash
# What try.sh and test.sh share: a Python that is new enough, a virtual
# environment, and pip in it. Sourced, not run.

# Where this is set, each of the thousand processes that the functional tests
# start compiles what it imports of the checkout.
unset PYTHONDONTWRITEBYTECODE

fail() {
    printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# Name a Python of 3.11 or newer in $python; $PYTHON chooses another one.
find_python() {
    local name names=(python3 python3.13 python3.12 python3.11)
    if [ -n "${PYTHON:-}" ]; then
        names=("$PYTHON")
    fi
    for name in "${names[@]}"; do
        if command -v "$name" > /dev/null &&
                "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
                    2> /dev/null; then
            python=$name
            return
        fi
    done
    fail "Python 3.11 or newer is needed and was not found (tried: \
${names[*]}). Install it (Debian, Ubuntu: apt-get install python3 \
python3-venv), or name it: PYTHON=/path/to/python3.11 $0"
}

# make_venv DIR: make the virtual environment, or take the one that is there.
make_venv() {
    find_python
    venv=$1
    if [ -x "$venv/bin/python" ] &&
            "$venv/bin/python" -m pip --version > /dev/null 2>&1; then
        return
    fi
    "$python" -c 'import ensurepip, venv' 2> /dev/null || fail "\
$python has no module venv. Install it (Debian, Ubuntu: apt-get install \
python3-venv)."
    "$python" -m venv --clear "$venv" || fail "\
The virtual environment $venv cannot be made. Is the folder writable, and is \
there space on the disk?"
}

# The exact versions that "install" takes.
constraints=constraints.txt

# install ARGUMENTS: pip with the constraints. Its output is shown when it
# fails, and kept in $venv/install.log.
install() {
    # A checkout without any commit or tag has no version that pbr could find.
    if ! git rev-parse -q --verify HEAD > /dev/null 2>&1 &&
            [ ! -e PKG-INFO ]; then
        export PBR_VERSION=${PBR_VERSION:-0.0.1}
    fi
    printf 'Installing into %s (some minutes the first time) ...\n' \
        "$venv" >&2
    if ! "$venv/bin/python" -m pip install --disable-pip-version-check \
            -c "$constraints" "$@" > "$venv/install.log" 2>&1; then
        tail -n 20 "$venv/install.log" >&2
        fail "pip could not install the packages; its last words are above, \
all of them in $venv/install.log. Does this machine reach PyPI or a mirror of \
it (pip config list), and is there space on the disk (the engine takes 3 GB)?"
    fi
}
