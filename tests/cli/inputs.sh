#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Inputs that cannot be used: a clear message with the name of the file, exit code 1, no output file.
. "$(dirname "$0")/lib.sh"

compile_pair tiny <<'C'
#ifndef NEW
#define NEW 0
#endif
__attribute__((noinline)) int answer(int x) { return x * 7 % 5 + NEW; }
int main(int argc, char **argv) { (void)argv; return answer(argc); }
C
good=$tmp/old/tiny
mkdir "$tmp/folder"
: >"$tmp/empty"
echo 'not a program, just some text' >"$tmp/text"
mkfifo "$tmp/fifo"
size=$(wc -c <"$good")

unusable() { # unusable FILE PATTERN
        for pair in "$1 $good" "$good $1"; do
                # shellcheck disable=SC2086
                expect 1 diff $pair
                complains "$2"
                complains "$(basename "$1")"
                quiet
                # shellcheck disable=SC2086
                expect 1 diff --json $pair
                quiet
                # shellcheck disable=SC2086
                expect 1 build $pair -o "$tmp/never"
        done
        expect 1 show "$1"
        complains "$(basename "$1")"
        quiet
}

unusable "$tmp/missing" 'No such file'
unusable "$tmp/folder" 'directory'
unusable "$tmp/empty" 'empty'
unusable "$tmp/text" 'not an ELF'
unusable "$tmp/fifo" 'not a regular file'
for bytes in 1 4 16 63 64 65 200 $((size / 2)); do
        head -c "$bytes" "$good" >"$tmp/cut-$bytes"
        expect 1 diff "$tmp/cut-$bytes" "$good"
        complains "cut-$bytes"
        expect 1 diff "$good" "$tmp/cut-$bytes"
        complains "cut-$bytes"
        expect 1 show "$tmp/cut-$bytes"
done

# A 32-bit image, and one for another machine: results, not errors.
cp "$good" "$tmp/class32"
printf '\001' | dd of="$tmp/class32" bs=1 seek=4 conv=notrunc 2>/dev/null
cp "$good" "$tmp/aarch64"
printf '\267\000' | dd of="$tmp/aarch64" bs=1 seek=18 conv=notrunc 2>/dev/null
for file in class32 aarch64; do
        expect 3 diff "$tmp/$file" "$good"
        says 'unsupported'
        says 'machine'
        expect 3 diff --json "$good" "$tmp/$file"
        shape diff
        value "j['pairs'][0]['verdict']" unsupported
        value "j['pairs'][0]['findings'][0]['code']" machine
        expect 3 build "$good" "$tmp/$file" -o "$tmp/never"
done

# Not a patch, although an ELF file.
expect 1 show "$good"
complains 'not a Staunch patch'

# Where the patch cannot go.
expect 1 build "$good" "$tmp/new/tiny" -o "$tmp/no/such/folder/patch"
complains 'No such file'
[ ! -e "$tmp/never" ] || fail "a patch was written for inputs that cannot be used"

# Names are shown without their control characters.
odd=$tmp/$(printf 'a\033[31mb')
expect 1 diff "$odd" "$good"
complains 'a\\x1b\[31mb'
grep -q "$(printf '\033')" "$tmp/err" && fail "an escape sequence was printed"

# A truncated or changed patch.
expect 0 build "$good" "$tmp/new/tiny" -o "$tmp/patch"
size=$(wc -c <"$tmp/patch")
for bytes in 0 1 63 64 100 $((size / 3)) $((size - 64)) $((size - 1)); do
        head -c "$bytes" "$tmp/patch" >"$tmp/cut"
        expect 1 show "$tmp/cut"
        complains '/cut: '
        quiet
done
cat "$tmp/patch" "$tmp/text" >"$tmp/longer"
expect 1 show "$tmp/longer"
finish
