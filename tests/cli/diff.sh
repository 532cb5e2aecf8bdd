#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# diff: verdicts, exit codes, the table and the JSON.
. "$(dirname "$0")/lib.sh"

compile_pair fixed <<'C'
#include <stdio.h>
__attribute__((noinline)) int answer(int x) {
#ifdef NEW
        if (x > 100)
                return -1;
#endif
        return x * 3 + 1;
}
__attribute__((noinline)) void other(int x) { printf("%d\n", x); }
int main(int argc, char **argv) { (void)argv; other(answer(argc)); return 0; }
C
compile_pair layout -g <<'C'
#include <stdlib.h>
struct session {
        int id;
#ifdef NEW
        int added;
#endif
        int flags;
};
struct session *volatile current;
__attribute__((noinline)) int work(struct session *s) { return s->flags + s->id; }
int main(int argc, char **argv) {
        (void)argv;
        current = calloc((size_t)argc, sizeof(*current));
        return work(current);
}
C

expect 0 diff "$tmp/old/fixed" "$tmp/new/fixed"
says 'hotpatch'
says '^FILE'
expect 0 diff --json "$tmp/old/fixed" "$tmp/new/fixed"
shape diff
value "len(j['pairs'])" 1
value "j['pairs'][0]['verdict']" hotpatch
value "j['pairs'][0]['functions']['changed']" 1
value "j['pairs'][0]['functions']['identical'] > 2" True
value "j['pairs'][0]['old']['build_id'] != j['pairs'][0]['new']['build_id']" True
value "j['pairs'][0]['usec'] > 0 and j['pairs'][0]['peak_kib'] > 0" True

expect 0 diff --json "$tmp/old/fixed" "$tmp/old/fixed"
shape diff
value "j['pairs'][0]['verdict']" unchanged
expect 0 diff "$tmp/old/fixed" "$tmp/old/fixed"
says 'unchanged'

expect 3 diff --json "$tmp/old/layout" "$tmp/new/layout"
shape diff
value "j['pairs'][0]['verdict']" restart
value "any(f['code'] == 'layout-changed' and 'session' in f['subject'] for f in j['pairs'][0]['findings'])" True
expect 3 diff "$tmp/old/layout" "$tmp/new/layout"
says 'layout-changed: '
says 'session'

# Debug information in files of their own.
objcopy --only-keep-debug "$tmp/old/layout" "$tmp/old/layout.debug"
objcopy --only-keep-debug "$tmp/new/layout" "$tmp/new/layout.debug"
strip "$tmp/old/layout" "$tmp/new/layout"
expect 3 diff --json --debug-old "$tmp/old/layout.debug" --debug-new "$tmp/new/layout.debug" "$tmp/old/layout" "$tmp/new/layout"
value "any(f['code'] == 'layout-changed' for f in j['pairs'][0]['findings'])" True
expect 3 diff --json --no-debug "$tmp/old/layout" "$tmp/new/layout"
value "any(f['code'] == 'layout-changed' for f in j['pairs'][0]['findings'])" False
expect 1 diff --debug-old "$tmp/new/layout.debug" "$tmp/old/layout" "$tmp/new/layout"
expect 1 diff --debug-old "$tmp/missing.debug" "$tmp/old/layout" "$tmp/new/layout"
complains 'missing.debug'

# Colour on a terminal only.
python3 "$here/terminal.py" "$staunch" diff "$tmp/old/fixed" "$tmp/new/fixed" >"$tmp/coloured"
grep -q "$(printf '\033')" "$tmp/coloured" || fail "no colour on a terminal"
NO_COLOR=1 python3 "$here/terminal.py" "$staunch" diff "$tmp/old/fixed" "$tmp/new/fixed" >"$tmp/plain"
grep -q "$(printf '\033')\[[0-9]*m" "$tmp/plain" && fail "colour although NO_COLOR is set"
expect 0 diff "$tmp/old/fixed" "$tmp/new/fixed"
grep -q "$(printf '\033')" "$tmp/out" "$tmp/err" && fail "escape sequences in a file"

# At a fixed address a table of labels is reached from a place before it, where nothing lies: the new code would jump
# by the old table.
if command -v clang >/dev/null; then
        CC=clang
        compile_pair labels -g -no-pie -fno-pie <<'C'
#include <stdio.h>
#include <stdlib.h>
static int hits;
__attribute__((noinline)) static long interpret(const char *p, long x) {
        static const void *const labels[] = { &&one, &&twice, &&hit, &&end,
#ifdef NEW
                                              &&less,
#endif
        };
        goto *labels[*p++ - '0'];
one:
        x++;
        goto *labels[*p++ - '0'];
twice:
        x *= 2;
        goto *labels[*p++ - '0'];
hit:
        hits++;
        goto *labels[*p++ - '0'];
#ifdef NEW
less:
        x -= 5;
        goto *labels[*p++ - '0'];
#endif
end:
        return x;
}
int main(void) {
        static const char *const programs[] = { "0123", "10123", "21203" };
        char line[64];
        while (fgets(line, sizeof(line), stdin))
                printf("%ld %d\n", interpret(programs[(unsigned)atoi(line) % 3], 2), hits);
        return 0;
}
C
        if objdump -d "$tmp/new/labels" | grep -q 'jmp.*\*0x[0-9a-f]*(,'; then
                expect 3 diff "$tmp/old/labels" "$tmp/new/labels"
                says 'reached from a place beside it'
        fi
fi
finish
