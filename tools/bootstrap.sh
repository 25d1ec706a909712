#!/bin/sh
# Finds a Python that Echoic runs on and hands over to tools/ready.py; make calls it before every target that needs .venv.
# Usage: sh tools/bootstrap.sh local | dev | lock      PYTHON=/path/to/python3.12 chooses one. Prints on stderr only.
set -eu
cd -- "$(dirname -- "$0")/.."
# shellcheck disable=SC2016
fits='import sys, sysconfig
sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13) and sys.implementation.name == "cpython"
              and not sysconfig.get_config_var("Py_GIL_DISABLED")))'

say() { printf 'echoic: %s\n' "$*" >&2; }

runs_echoic() {
    command -v "$1" >/dev/null 2>&1 && "$1" -I -c "$fits" >/dev/null 2>&1 </dev/null
}

case $(uname -s) in
    Linux | Darwin) ;;
    *)
        say "$(uname -s) is not supported: on Windows run Echoic inside WSL 2, else on Linux, macOS or with Docker (README, Platforms)."
        exit 1
        ;;
esac

if [ -n "${PYTHON:-}" ]; then
    if ! runs_echoic "$PYTHON"; then
        say "PYTHON=$PYTHON is not a CPython 3.11, 3.12 or 3.13 that runs here."
        exit 1
    fi
    exec "$PYTHON" -I tools/ready.py "$@"
fi

# The one that .venv was made with comes first, so that a second Python on PATH does not rebuild it.
for candidate in .venv/bin/python python3 python3.13 python3.12 python3.11 python; do
    if runs_echoic "$candidate"; then
        exec "$candidate" -I tools/ready.py "$@"
    fi
done

# uv may know one that is not on PATH, or may be able to fetch one.
if command -v uv >/dev/null 2>&1; then
    found=$(uv python find '>=3.11,<3.14' 2>/dev/null </dev/null) ||
        { say "no Python 3.11-3.13 here, asking uv for one"; uv python install 3.12 >&2 </dev/null && found=$(uv python find 3.12 </dev/null); } ||
        found=
    if [ -n "$found" ]; then
        exec "$found" -I tools/ready.py "$@"
    fi
fi

say "Python 3.11, 3.12 or 3.13 is needed and none was found on PATH ($(python3 -V 2>/dev/null || echo 'no python3 at all'))."
say "Install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python@3.12) or name one: make PYTHON=/path/to/python3.12 …"
exit 1
