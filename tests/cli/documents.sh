#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The manual page is well formed, and bash completes exactly the commands, options and values that the program has; agree.py has the
# other shells and what the manual page says.
. "$(dirname "$0")/lib.sh"
page=$here/../../man/staunch.1
completion=$here/../../packaging/completion

if command -v groff >/dev/null; then
        groff -man -Tutf8 -ww -z "$page" >"$tmp/out" 2>&1
        [ ! -s "$tmp/out" ] || fail "groff complains about the manual page"
fi
if command -v man >/dev/null; then
        LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" >/dev/null 2>"$tmp/out"
        [ ! -s "$tmp/out" ] || fail "man complains about the manual page"
fi

ln -s "$(realpath "$staunch")" "$tmp/staunch"
PATH=$tmp:$PATH
. "$completion/staunch.bash"
complete_words() { # complete_words WORD...: what the last word can become
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _staunch
        printf '%s\n' "${COMPREPLY[@]}" | sort
}

expect 0 --help
commands=$(sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' "$tmp/out" | sort)
[ "$(complete_words staunch '' | grep -v '^-')" = "$commands" ] || fail "bash completes other commands than there are"
for command in $commands; do
        expect 0 "$command" --help
        options=$(grep -o -e '--[a-z-]*' "$tmp/out" | grep -v -e '^--[a-z-]*-$' | sort -u | grep -v -x -e --explain)
        completed=$(complete_words staunch "$command" -- | grep '^--' | grep -v -x -e --explain)
        [ "$command" = explain ] || [ "$completed" = "$options" ] ||
                fail "$command: bash completes $(echo $completed), the program has $(echo $options)"
done
complete_words staunch diff --accept data- | grep -q -x data-const || fail "bash completes no code to accept"
complete_words staunch diff --accept process- | grep -q . && fail "bash offers codes that cannot be accepted"
complete_words staunch explain process- | grep -q -x process-busy || fail "bash completes no code to explain"
complete_words staunch status --pid $$ | grep -q -x $$ || fail "bash completes no pid"
touch "$tmp/a.patch"
[ "$(cd "$tmp" && complete_words staunch show a.)" = a.patch ] || fail "bash completes no file"
if command -v zsh >/dev/null; then
        zsh -n "$completion/_staunch" 2>"$tmp/out" || fail "zsh: syntax"
fi
if command -v fish >/dev/null; then
        fish -n "$completion/staunch.fish" 2>"$tmp/out" || fail "fish: syntax"
fi
finish
