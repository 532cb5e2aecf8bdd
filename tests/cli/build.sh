#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build and show: the file, its tools, its bytes.
. "$(dirname "$0")/lib.sh"

compile_pair fixed <<'C'
#include <stdio.h>
#include <string.h>
static int counter;
__attribute__((noinline)) int answer(const char *s) {
        counter++;
#ifdef NEW
        if (!s)
                return -1;
#endif
        return (int)strlen(s) + counter;
}
int main(int argc, char **argv) { printf("%d\n", answer(argv[argc - 1])); return 0; }
C
old=$tmp/old/fixed new=$tmp/new/fixed

expect 0 build "$old" "$new" -o "$tmp/patch"
says '1 function replaced'
expect 0 build --json "$old" "$new" -o "$tmp/patch2"
shape build
value "j['verdict']" hotpatch
value "j['sites']" 1
cmp "$tmp/patch" "$tmp/patch2" || fail "two builds of one patch differ"
digest=$(sha256sum "$tmp/patch" | cut -d ' ' -f 1)
value "j['digest']" "$digest"

# The patch does not depend on where the files lie.
mkdir "$tmp/elsewhere"
cp "$old" "$tmp/elsewhere/fixed"
expect 0 build "$tmp/elsewhere/fixed" "$new" -o "$tmp/patch3"
cmp "$tmp/patch" "$tmp/patch3" || fail "the patch depends on the folder"

expect 0 show "$tmp/patch"
says "$digest"
says 'answer'
expect 0 show --json "$tmp/patch"
shape show
value "j['digest']" "$digest"
value "[s['name'] for s in j['sites']]" "['answer']"
value "j['executable']" True

# Other tools read it without complaint.
readelf -aW "$tmp/patch" >"$tmp/out" 2>"$tmp/err" || fail "readelf"
[ ! -s "$tmp/err" ] || fail "readelf complains"
grep -qi warning "$tmp/out" && fail "readelf warns"
says '__staunch_old_base'
says ' answer$'
objdump -dr "$tmp/patch" >"$tmp/out" 2>"$tmp/err" || fail "objdump"
[ ! -s "$tmp/err" ] || fail "objdump complains"
says '<answer>:'
if command -v gdb >/dev/null; then
        gdb -nx -batch -ex 'info functions answer' "$tmp/patch" >"$tmp/out" 2>"$tmp/err" </dev/null
        says 'answer'
        [ ! -s "$tmp/err" ] || fail "gdb complains"
fi

# Nothing to do, and refused: no file.
expect 0 build "$old" "$old" -o "$tmp/none"
says 'unchanged'
expect 0 build --json "$old" "$old" -o "$tmp/none"
shape build
value "j['patch']" None
compile_pair changed <<'C'
#ifdef NEW
__thread int slot[64] = { 1 };
#else
__thread int slot[2] = { 1 };
#endif
__attribute__((noinline)) int work(int i) { return slot[i & 1]; }
int main(int argc, char **argv) { (void)argv; return work(argc); }
C
expect 3 build "$tmp/old/changed" "$tmp/new/changed" -o "$tmp/none"
says 'tls-changed'
expect 3 build --json "$tmp/old/changed" "$tmp/new/changed" -o "$tmp/none"
shape build
value "j['patch']" None
[ ! -e "$tmp/none" ] || fail "a file was written although there is no patch"

# A file that is no patch's place is left alone: a device would be lost to all, and the only copy of a build.
mkfifo "$tmp/pipe"
for to in "$tmp/pipe" "$old" "$new"; do
        cp -p "$old" "$tmp/old.kept"
        cp -p "$new" "$tmp/new.kept"
        expect 1 build "$old" "$new" -o "$to"
        complains 'left alone'
        cmp "$old" "$tmp/old.kept" && cmp "$new" "$tmp/new.kept" || fail "build -o $to: overwritten"
        cp -p "$tmp/old.kept" "$old"
        cp -p "$tmp/new.kept" "$new"
done
[ -p "$tmp/pipe" ] || fail "a pipe was replaced"

# Debug information that was given and is not there is told, also where none is needed.
expect 1 diff "$old" "$old" --debug-new "$tmp/not-there"
complains 'not-there: No such file'

# A folder as the target.
expect 0 build "$old" "$new" -o "$tmp/elsewhere"
cmp "$tmp/patch" "$tmp/elsewhere/fixed.staunch" || fail "no patch in the folder"

# Names out of the files are shown without what would act on a terminal, and never break the JSON.
odd=$(printf 'odd\033[31m\377name')
mkdir "$tmp/odd"
objcopy --redefine-sym "answer=$odd" "$old" "$tmp/odd/old"
objcopy --redefine-sym "answer=$odd" "$new" "$tmp/odd/new"
expect 0 build "$tmp/odd/old" "$tmp/odd/new" -o "$tmp/odd/patch"
expect 0 show "$tmp/odd/patch"
says 'odd\\x1b\[31m\\xffname'
grep -q "$(printf '\033')" "$tmp/out" && fail "an escape sequence was printed"
expect 0 show --json "$tmp/odd/patch"
shape show
value "j['sites'][0]['name'].encode()" "b'odd\\x1b[31m\\\\xffname'"
finish
