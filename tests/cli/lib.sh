# SPDX-License-Identifier: Apache-2.0
# Sourced by the tests of the command line: lib.sh STAUNCH. Leaves a fresh folder in $tmp.
set -u
staunch=$1
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failures=0
CC=${CC:-cc}
unset DEBUGINFOD_URLS

fail() {
        echo "FAILED: $*"
        sed 's/^/  | /' "$tmp/out" "$tmp/err" 2>/dev/null | head -n 40
        failures=$((failures + 1))
}

# expect CODE ARGUMENT...: runs staunch; its output goes to $tmp/out and $tmp/err.
expect() {
        expected=$1
        shift
        "$staunch" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
        got=$?
        [ $got = "$expected" ] || fail "staunch $*: exit code $got, expected $expected"
}

says() { # says PATTERN: on standard output
        grep -q -e "$1" "$tmp/out" || fail "standard output does not say '$1'"
}

complains() { # complains PATTERN: on standard error
        grep -q -e "$1" "$tmp/err" || fail "standard error does not say '$1'"
}

quiet() { # nothing on standard output
        [ ! -s "$tmp/out" ] || fail "standard output is not empty"
}

shape() { # shape NAME: standard output is JSON of that shape
        python3 "$here/shape.py" "$1" <"$tmp/out" >"$tmp/shape" 2>&1 || fail "shape $1: $(cat "$tmp/shape")"
}

value() { # value EXPRESSION EXPECTED: EXPRESSION of the JSON `j`
        got=$(python3 -c "import json,os,sys; j=json.load(sys.stdin); print($1)" <"$tmp/out" 2>&1)
        [ "$got" = "$2" ] || fail "$1 is '$got', expected '$2'"
}

# Two builds of a small program: $tmp/old/NAME and $tmp/new/NAME, from standard input with -DNEW for the new.
compile_pair() {
        name=$1
        shift
        cat >"$tmp/$name.c"
        mkdir -p "$tmp/old" "$tmp/new"
        "$CC" -O2 -Wl,--build-id "$@" -o "$tmp/old/$name" "$tmp/$name.c" &&
                "$CC" -O2 -Wl,--build-id "$@" -DNEW -o "$tmp/new/$name" "$tmp/$name.c" || {
                echo "no working compiler"
                exit 77
        }
}

finish() {
        [ $failures = 0 ] || exit 1
        exit 0
}
