#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# apply, revert, verify, status and converge on processes of our own. Each target answers one number a line
# for each line it is sent, so nothing here waits for time to pass.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }

cat >"$tmp/target.c" <<'C'
#include <stdio.h>
#include <unistd.h>
#ifdef LIBRARY
int answer(int x);
#else
__attribute__((weak)) int answer(int x) {
#if NEW
        if (x > 5)
                return 100 + NEW;
#endif
        return x * 7 % 5;
}
#endif
int main(int argc, char **argv) {
        char line[64];
        setbuf(stdout, NULL);
        if (argc > 1 && (chroot(argv[1]) || chdir("/")))
                return 1;
        while (fgets(line, sizeof(line), stdin))
                printf("%d\n", answer(10));
        return 0;
}
C
cat >"$tmp/library.c" <<'C'
int answer(int x);
int slot(void);
#if NEW == 9
static __thread volatile int slots[100] = { 1 };
#else
static __thread volatile int slots[1] = { 1 };
#endif
int slot(void) {
        return slots[0];
}
int answer(int x) {
#if NEW
        if (x > 5)
                return 200 + NEW;
#endif
        return x * 7 % 5;
}
C
# No other run has these images: a patch is for all processes of its image.
echo "__attribute__((used)) static const char of_run[] = \"$tmp\";" >"$tmp/run.h"
compile() {
        "$CC" -O2 -Wl,--build-id -include "$tmp/run.h" "$@"
}
make() { # make PATH VERSION
        compile -DNEW="$2" -o "$1.tmp" "$tmp/target.c" && mv "$1.tmp" "$1"
}
make_library() { # make_library PATH VERSION
        compile -shared -fPIC -Wl,-soname,libanswer.so.1 -DNEW="$2" -o "$1.tmp" "$tmp/library.c" &&
                mv "$1.tmp" "$1"
}

# start NAME PROGRAM...: a target with pipes $tmp/NAME.in and .out; its pid is in $pid.
started=
start() {
        name=$1
        shift
        mkfifo "$tmp/$name.in" "$tmp/$name.out"
        "$@" <"$tmp/$name.in" >"$tmp/$name.out" &
        pid=$!
        started="$started $pid"
}
# The test holds the pipes of up to two targets open: 3 and 4 of the first, 5 and 6 of the second.
ask() { # ask FIRST|SECOND EXPECTED
        if [ "$1" = first ]; then
                echo >&3
                read -r got <&4
        else
                echo >&5
                read -r got <&6
        fi
        [ "$got" = "$2" ] || fail "the $1 target answers '$got', expected '$2'"
}
cleanup() {
        for p in $started; do
                kill "$p" 2>/dev/null
        done
        rm -rf "$tmp"
}
trap cleanup EXIT

root=$tmp/root
mkdir -p "$root/bin" "$root/lib"
make "$tmp/v0" 0 && make "$tmp/v1" 1 && make "$tmp/v2" 2 || { echo "no working compiler"; exit 77; }
cp "$tmp/v0" "$root/bin/target"
start one "$root/bin/target"
one=$pid
exec 3>"$tmp/one.in" 4<"$tmp/one.out"
start two "$root/bin/target"
two=$pid
exec 5>"$tmp/two.in" 6<"$tmp/two.out"
ask first 0
ask second 0

# apply, status, verify, revert by pid.
expect 0 build "$tmp/v0" "$tmp/v1" -o "$tmp/patch"
digest=$(sha256sum "$tmp/patch" | cut -d ' ' -f 1)
expect 0 status --json --pid "$one"
shape status
value "j['processes'][0]['patches']" "[]"
expect 0 apply --json "$tmp/patch" --pid "$one"
shape actions
value "j['processes'][0]['outcome']" patched
value "j['processes'][0]['functions']" 1
ask first 101
ask second 0
expect 0 apply --json "$tmp/patch" --pid "$one"
value "j['processes'][0]['outcome']" current
expect 0 status --json
shape status
value "[(p['pid'], p['patches'][0]['digest'], p['patches'][0]['state']) for p in j['processes'] if p['pid'] in ($one, $two)]" \
        "[($one, '$digest', 'active')]"
expect 0 verify --pid "$one"
says 'all intact'
expect 0 verify --json --pid "$one,$two"
shape status
value "[len(p['patches']) for p in j['processes']]" "[$( [ "$one" -lt "$two" ] && echo '1, 0' || echo '0, 1')]"

# Damage: one byte of the jump is taken back by hand.
expect 0 show --json "$tmp/patch"
jump=$(python3 -c "import json,sys; print(int(json.load(sys.stdin)['sites'][0]['jump_addr'], 16))" <"$tmp/out")
expect 0 status --json --pid "$one"
base=$(python3 -c "import json,sys; print(int(json.load(sys.stdin)['processes'][0]['patches'][0]['image_base'], 16))" <"$tmp/out")
poke() { python3 -c "
import os, sys
f = os.open('/proc/$one/mem', os.O_RDWR)
print(os.pread(f, 1, $jump + $base).hex())
os.pwrite(f, bytes.fromhex('$1'), $jump + $base)"; }
was=$(poke cc)
expect 3 verify --pid "$one"
says 'Damaged: 1 of 1'
expect 3 verify --json --pid "$one"
value "j['processes'][0]['patches'][0]['intact']" False
poke "$was" >/dev/null
expect 0 verify --pid "$one"

short=$(echo "$digest" | cut -c 1-16)
expect 0 revert --json "$(echo "$short" | tr 0123456789abcdef 123456789abcdef0)" --pid "$one"
value "j['processes'][0]['outcome']" current
ask first 101
expect 0 revert --json "$short" --pid "$one"
shape actions
value "j['processes'][0]['outcome']" reverted
ask first 0
expect 0 revert --json --pid "$one"
value "j['processes'][0]['outcome']" current

# --all finds both and no other process.
expect 0 apply --json "$tmp/patch" --all
shape actions
value "sorted(p['pid'] for p in j['processes']) == sorted([$one, $two])" True
ask first 101
ask second 101
expect 0 revert --json "$tmp/patch" --all
value "sorted((p['pid'], p['outcome']) for p in j['processes']) == sorted([($one, 'reverted'), ($two, 'reverted')])" True
ask first 0
ask second 0

# A process that does not map the image, and one that is not there.
expect 3 apply --json "$tmp/patch" --pid $$
shape actions
value "j['processes'][0]['refusal']['code']" image-not-mapped
expect 1 apply --json "$tmp/patch" --pid 2147483000
shape actions
value "j['processes'][0]['outcome']" error
expect 1 status --pid 2147483000
complains 'no process 2147483000'
expect 2 apply "$tmp/patch"
expect 2 apply "$tmp/patch" --all --pid 1
expect 2 apply --all
expect 2 apply "$tmp/patch" --pid x
expect 2 apply "$tmp/patch" --pid 1,
expect 2 apply "$tmp/patch" --all --deadline never
expect 2 apply "$tmp/patch" "$tmp/patch" --all
expect 2 converge file
expect 1 revert "$tmp/missing" --all
expect 1 revert abc --all
complains 'abc: No such file'
expect 2 revert a b --all
expect 2 converge --root relative
expect 1 apply "$tmp/v0" --all

# Without privileges: an error that says what to do, never "all current".
if command -v setpriv >/dev/null; then
        chmod 711 "$tmp"
        cp "$staunch" "$tmp/program"
        chmod 755 "$tmp/program"
        chmod 644 "$tmp/patch"
        as_nobody() { # as_nobody ARGUMENT...
                setpriv --reuid=65534 --regid=65534 --clear-groups "$tmp/program" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
                got=$?
                [ $got = 1 ] || fail "staunch $* as nobody: exit code $got, expected 1"
        }
        as_nobody status
        complains 'run as root'
        as_nobody converge --root "$root"
        complains 'run as root'
        as_nobody converge --pid "$one"
        complains 'run as root'
        as_nobody apply "$tmp/patch" --pid "$one"
        says 'run as root'
        as_nobody revert --pid "$one"
        says 'run as root'
        ask first 0
fi

# converge: nothing to do, then an upgrade the way dpkg does it.
expect 0 converge --json --root "$root"
shape converge
value "j['processes']" "[]"
cp "$tmp/v1" "$root/bin/target.dpkg-new"
ln "$root/bin/target" "$root/bin/target.dpkg-tmp"
mv "$root/bin/target.dpkg-new" "$root/bin/target"
rm "$root/bin/target.dpkg-tmp"
expect 4 converge --json --dry-run --root "$root"
shape converge
value "sorted((p['pid'], p['images'][0]['outcome']) for p in j['processes']) == sorted([($one, 'hotpatch'), ($two, 'hotpatch')])" True
value "len(j['pairs'])" 1
ask first 0
expect 4 converge --json --pid "$one" --root "$root"
value "[(p['pid'], p['images'][0]['outcome']) for p in j['processes']]" "[($one, 'patched')]"
ask first 101
ask second 0
expect 4 converge --root "$root"
says "^ *$two .* patched "
says "^ *$one .* current "
says '1 patched, 0 to be restarted, 0 errors'
ask second 101
expect 0 converge --json --root "$root"
value "(j['pairs'], j['summary']['current'])" "([], 2)"

# A process that is traced is left for later, not for a restart.
cp "$tmp/v2" "$root/bin/target.dpkg-new"
mv "$root/bin/target.dpkg-new" "$root/bin/target"
if command -v strace >/dev/null; then
        strace -q -e trace=none -o "$tmp/strace" -p "$one" &
        tracer=$!
        # The kernel tells of no tracer but here; strace ends by itself when it cannot attach.
        while kill -0 "$tracer" 2>/dev/null && ! grep -q "^TracerPid:.$tracer\$" "/proc/$one/status"; do :; done
        expect 3 converge --root "$root" --pid "$one"
        says 'process-traced'
        says 'converged again later:$'
        kill "$tracer"
        wait "$tracer"
        ask first 101
fi

# A newer build replaces the patch in one step.
expect 4 converge --json --root "$root"
value "j['summary']['patched']" 2
ask first 102
ask second 102
expect 0 converge --root "$root"
says 'all current'

# The file is gone. What lies below /tmp is nobody's package, so it must not be reported.
rm "$root/bin/target"
expect 0 converge --json --root "$root"
value "j['processes']" "[]"
exec 3>&- 4<&- 5>&- 6<&-
wait "$one" "$two"

# What anybody may put at the path of a file of theirs that is mapped is not opened unless it is a file: a device may act when it
# is. Whoever waits to write into a FIFO goes on when somebody opens it for reading.
cp "$tmp/v0" "$root/bin/target"
rm -f "$tmp"/*.in "$tmp"/*.out
start one "$root/bin/target"
one=$pid
exec 3>"$tmp/one.in" 4<"$tmp/one.out"
ask first 0
rm "$root/bin/target"
mkfifo "$tmp/fifo"
ln -s "$tmp/fifo" "$root/bin/target"
(: >"$tmp/fifo" && : >"$tmp/opened") &
writer=$!
expect 0 converge --json --root "$root"
kill -0 "$writer" || fail "a FIFO at the path of a mapped file was opened"
: <"$tmp/fifo"
wait "$writer"
rm "$root/bin/target"
exec 3>&- 4<&-
wait "$one"
rm -f "$tmp"/*.in "$tmp"/*.out

# What was put into a process and told to its unwinder stays there when the process is too busy, and is used by the next try.
cat >"$tmp/busy.c" <<'C'
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) int forever(void) {
        volatile int turns = 0;
#if NEW
        puts("another start");
#endif
        puts("ready");
        fflush(stdout);
        while (turns < 1000000)
                turns += usleep(1000) == 0;
        return turns;
}
int main(void) {
        return forever();
}
C
for v in 0 1; do
        compile -DNEW="$v" -o "$tmp/busy$v" "$tmp/busy.c" -Wl,--no-as-needed -lgcc_s
done
expect 0 build "$tmp/busy0" "$tmp/busy1" -o "$tmp/busy.patch"
mkfifo "$tmp/busy.out"
"$tmp/busy0" >"$tmp/busy.out" &
busy=$!
started="$started $busy"
read -r got <"$tmp/busy.out"
lies() { grep -c 'memfd:staunch' "/proc/$busy/maps"; }
expect 3 apply --json "$tmp/busy.patch" --pid "$busy" --deadline 0.05
value "j['processes'][0]['refusal']['code']" process-busy
once=$(lies)
[ "$once" -gt 0 ] || fail "nothing was put into the busy process"
for i in 1 2 3; do
        expect 3 apply --json "$tmp/busy.patch" --pid "$busy" --deadline 0.05
done
[ "$(lies)" = "$once" ] || fail "$(lies) mappings after four tries, and $once after the first"
kill "$busy"

# A library whose file name changes with its version, found again by its soname; and a target in a mount
# namespace and root folder of its own.
make_library "$root/lib/libanswer.so.1.0" 0
ln -s libanswer.so.1.0 "$root/lib/libanswer.so.1"
compile -DLIBRARY -o "$root/bin/user" "$tmp/target.c" "$root/lib/libanswer.so.1.0" -Wl,-rpath,"$root/lib"
rm -f "$tmp"/*.in "$tmp"/*.out
start one "$root/bin/user"
one=$pid
exec 3>"$tmp/one.in" 4<"$tmp/one.out"
ask first 0
mkdir -p "$tmp/chroot/proc"
for file in $(ldd "$root/bin/user" | grep -v libanswer | grep -o '/[^ ]*'); do
        mkdir -p "$tmp/chroot$(dirname "$file")"
        cp "$file" "$tmp/chroot$file"
done
mkdir -p "$tmp/chroot$root/lib"
cp -a "$root/lib/." "$tmp/chroot$root/lib/"
cp "$root/bin/user" "$tmp/chroot/user"
start two unshare -m chroot "$tmp/chroot" /user
two=$pid
exec 5>"$tmp/two.in" 6<"$tmp/two.out"
ask second 0
upgrade_library() { # upgrade_library FOLDER FROM TO VERSION
        make_library "$1/libanswer.so.1.$3" "$4"
        ln -sfn "libanswer.so.1.$3" "$1/libanswer.so.1"
        rm "$1/libanswer.so.1.$2"
}
upgrade_library "$root/lib" 0 1 1
expect 4 converge --json --root "$root"
shape converge
value "[(p['pid'], p['images'][0]['path'], p['images'][0]['outcome']) for p in j['processes']]" \
        "[($one, '$root/lib/libanswer.so.1.0', 'patched')]"
ask first 201
ask second 0
upgrade_library "$tmp/chroot$root/lib" 0 1 1
expect 4 converge --json --pid "$two"
value "[i['outcome'] for p in j['processes'] for i in p['images'] if 'libanswer' in i['path']]" "['patched']"
ask second 201

exec 3>&- 4<&- 5>&- 6<&-
wait "$one" "$two"
rm -f "$tmp"/*.in "$tmp"/*.out

# Daemons that go into an empty chroot after they were loaded: their files are outside of it. The second has mounts of its own.
mkdir "$tmp/empty"
start one "$root/bin/user" "$tmp/empty"
one=$pid
start two unshare -m "$root/bin/user" "$tmp/empty"
two=$pid
exec 3>"$tmp/one.in" 4<"$tmp/one.out" 5>"$tmp/two.in" 6<"$tmp/two.out"
ask first 201
ask second 201
expect 0 converge --json --root "$root"
value "j['processes']" "[]"
upgrade_library "$root/lib" 1 2 2
expect 4 converge --json --root "$root"
value "{p['pid']: p['images'][0]['outcome'] for p in j['processes']} == {$one: 'patched', $two: 'patched'}" "True"
ask first 202
ask second 202
exec 3>&- 4<&- 5>&- 6<&-
wait "$one" "$two"
rm -f "$tmp"/*.in "$tmp"/*.out
start one "$root/bin/user"
one=$pid
exec 3>"$tmp/one.in" 4<"$tmp/one.out"

# A program that is a mount of its own, as with ExecPaths= of a unit: replacing the file takes the mount away.
make "$root/bin/mounted" 0
start two unshare -m sh -c 'mount --bind "$1" "$1" && exec "$1"' sh "$root/bin/mounted"
two=$pid
exec 5>"$tmp/two.in" 6<"$tmp/two.out"
ask second 0
make "$root/bin/mounted" 1
expect 4 converge --json --pid "$two"
value "[(i['path'], i['outcome']) for p in j['processes'] for i in p['images'] if 'mounted' in i['path']]" \
        "[('$root/bin/mounted', 'patched')]"
ask second 101
exec 5>&- 6<&-
wait "$two"

# An update that must be refused: the process goes on, and is named with the reason.
upgrade_library "$root/lib" 2 3 9
expect 3 converge --json --root "$root"
shape converge
value "(j['summary']['restart'], [f['code'] for f in j['processes'][0]['images'][0]['findings']])" "(1, ['tls-changed'])"
expect 3 converge --root "$root"
says 'tls-changed'
says "process $one (user)"
says '^To be restarted:$'
ask first 202
exec 3>&- 4<&-
wait "$one"

# Two libraries of one process, and one is not as its file says: with a library that does not depend on it the
# other is patched all the same; libraries that depend on each other are switched together or not at all.
cat >"$tmp/part.c" <<'C'
int NAME(int x);
#ifdef USES
int USES(int x);
#else
#define USES(x) 1
#endif
int NAME(int x) {
#if NEW
        if (x > 5)
                return USES(x) + 1;
#endif
        return x * 7 % 5 + USES(x);
}
C
cat >"$tmp/pair.c" <<'C'
#include <dlfcn.h>
#include <stdio.h>
int one(int x);
int two(int x);
int main(void) {
        char line[64];
        setbuf(stdout, NULL);
        while (fgets(line, sizeof(line), stdin))
                printf("%d %d %p\n", one(10), two(10), (void *)one);
        return 0;
}
C
make_part() { # make_part NAME VERSION OPTION...
        part=$1 version=$2
        shift 2
        compile -shared -fPIC -Wl,-soname,"lib$part.so" -DNAME="$part" -DNEW="$version" \
                -o "$root/lib/lib$part.so.tmp" "$tmp/part.c" "$@" && mv "$root/lib/lib$part.so.tmp" "$root/lib/lib$part.so"
}
two_parts() { # two_parts EXPECTED-OUTCOMES OPTION...: of lib one, whose code in memory is changed, and two
        wanted=$1
        shift
        make_part one 0
        make_part two 0 "$@" "$root/lib/libone.so"
        "$CC" -O2 -o "$root/bin/pair" "$tmp/pair.c" -L"$root/lib" -lone -ltwo -Wl,-rpath,"$root/lib"
        rm -f "$tmp"/*.in "$tmp"/*.out
        start one "$root/bin/pair"
        one=$pid
        exec 3>"$tmp/one.in" 4<"$tmp/one.out"
        echo >&3
        read -r before where <&4
        read -r before after where <<E
$before $where
E
        # The entry of one() in memory is given another first byte than the file has (and then back).
        byte=$(python3 -c "
import os
f = os.open('/proc/$one/mem', os.O_RDWR)
print(os.pread(f, 1, $where).hex())
os.pwrite(f, b'\x90', $where)")
        make_part one 1
        make_part two 1 "$@" "$root/lib/libone.so"
        expect 3 converge --json --root "$root"
        shape converge
        value "sorted((os.path.basename(i['path']), i['outcome'], ' '.join(f['code'] for f in i['findings'])) for i in j['processes'][0]['images'])" "$wanted"
        python3 -c "
import os
f = os.open('/proc/$one/mem', os.O_RDWR)
os.pwrite(f, bytes.fromhex('$byte'), $where)"
        expect 4 converge --json --root "$root"
        value "sorted(i['outcome'] for i in j['processes'][0]['images'] if i['outcome'] != 'current') != []" True
        expect 0 converge --root "$root"
        exec 3>&- 4<&-
        wait "$one"
}
two_parts "[('libone.so', 'restart', 'image-modified'), ('libtwo.so', 'patched', '')]" -Wl,--as-needed
two_parts "[('libone.so', 'restart', 'image-modified'), ('libtwo.so', 'restart', 'image-modified')]" -DUSES=one

# A 32-bit program cannot be patched, and must not be passed over.
cat >"$tmp/small.c" <<'C'
static int call(int n, int a, void *b, int c) {
        int r;
        __asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c) : "memory");
        return r;
}
void _start(void);
void _start(void) {
        char c;
        while (call(3, 0, &c, 1) == 1)
                call(4, 1, &c, 1);
        call(1, 0, 0, 0);
}
C
if "$CC" -m32 -O2 -nostdlib -static -fno-stack-protector -fno-pic -no-pie -Wl,--build-id -o "$root/bin/small" "$tmp/small.c" 2>/dev/null; then
        rm -f "$tmp"/*.in "$tmp"/*.out
        start one "$root/bin/small"
        one=$pid
        exec 3>"$tmp/one.in" 4<"$tmp/one.out"
        echo 7 >&3
        read -r got <&4
        expect 0 converge --root "$root"
        cp "$root/bin/small" "$root/bin/small.new"
        mv "$root/bin/small.new" "$root/bin/small"
        expect 3 converge --json --root "$root"
        shape converge
        value "[f['code'] for f in j['processes'][0]['images'][0]['findings']]" "['process-32bit']"
        exec 3>&- 4<&-
        wait "$one"
else
        echo "no 32-bit compiler: that part is left out"
fi
finish
