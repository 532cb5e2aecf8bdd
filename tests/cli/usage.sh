#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Mistakes on the command line: exit code 2, a message that says what to do, nothing on standard output.
. "$(dirname "$0")/lib.sh"

mistake() { # mistake PATTERN ARGUMENT...
        pattern=$1
        shift
        expect 2 "$@"
        complains "$pattern"
        quiet
}

mistake 'Usage: staunch COMMAND'
mistake "no command 'frobnicate'" frobnicate
mistake "no option '--frobnicate'" --frobnicate
mistake "no command 'frobnicate'" help frobnicate
mistake 'OLD and NEW' diff
mistake 'OLD and NEW' diff one
mistake 'OLD and NEW' diff one two three
mistake "unrecognized option '--frobnicate'" diff --frobnicate a b
mistake "staunch diff --help" diff --frobnicate a b
mistake "unrecognized option '--pid'" diff --pid 1 a b
mistake 'requires an argument' build a b -o
mistake 'where to' build a b
mistake "no refusal code 'no-such'" build a b -o c --accept no-such
mistake 'cannot be accepted' build a b -o c --accept process-busy
mistake 'cannot be accepted' build a b -o c --accept startup-only
mistake 'exclude each other' diff --no-debug --debug-old x a b
mistake 'one patch file' show
mistake 'one patch file' show a b
mistake "no code 'no-such'" explain no-such
mistake "no code 'no-such'" --explain no-such
mistake "no code 'no-such'" --explain=no-such
mistake "no code 'no-such'" diff --explain no-such
mistake 'one code' explain data-const tls-changed

for when in 2026-02-31 2026-13-01 '2026-01-31 -3:00' '2026-01-31 24:00' -1h 1m; do
        mistake 'is no time' events --file /dev/null --since "$when"
done
mistake "'list', 'next' or 'plan'" window frobnicate
mistake "one of 'list'" window list next
expect 0 --version
says '^staunch [0-9]'
expect 0 --help
says 'Commands:'
commands=$(sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' "$tmp/out")
[ -n "$commands" ] || fail "--help lists no commands"
for command in $commands; do
        expect 0 "$command" --help
        says "^Usage: staunch $command"
        expect 0 help "$command"
        says "^Usage: staunch $command"
        expect 0 "$command" -h
done

# Every code has its long text.
expect 0 explain
codes=$(sed -n 's/^  \([a-z0-9-]*\)  *[A-Za-z].*/\1/p' "$tmp/out")
[ "$(echo "$codes" | wc -l)" -gt 30 ] || fail "explain lists too few codes"
for code in $codes; do
        expect 0 explain "$code"
        says "^$code: "
        says 'What to do:'
done
expect 0 --explain layout-changed
says '^layout-changed: '
expect 0 diff --explain layout-changed
says '^layout-changed: '

expect 0 events --file /dev/null --since 2024-02-29
expect 1 config check "$tmp/none.toml"
complains 'none.toml: no such file'
quiet
for command in doctor cve report assess snapshot; do
        mistake 'is no folder' "$command" --root "$tmp/none"
done
expect 1 events --file /
complains 'directory'

# Output that cannot be written is an error.
"$staunch" --help >/dev/full 2>"$tmp/err" && fail "writing to a full device succeeded"
complains 'standard output'

# JSON is for a program, which is asked nothing.
expect 2 rollback --json --last --state "$tmp/none"
complains "takes --yes, or --dry-run"
finish
