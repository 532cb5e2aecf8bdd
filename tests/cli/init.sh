#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Process 1 of a pid namespace: refused with its code, in every command the same, and by a dry run as well.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
unshare --pid --fork --mount-proc true 2>/dev/null || { echo "no pid namespace can be made here"; exit 77; }

# Runs its arguments, and ends as they do.
compile_pair init <<'C'
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
__attribute__((noinline)) int code(int status) {
#ifdef NEW
        if (WIFSIGNALED(status))
                return 100;
#endif
        return WEXITSTATUS(status);
}
int main(int argc, char **argv) {
        int status = 0;
        if (argc < 2)
                return 2;
        if (fork() == 0) {
                execvp(argv[1], argv + 1);
                _exit(99);
        }
        wait(&status);
        exit(code(status));
}
C
cp "$tmp/old/init" "$tmp/init"
expect 0 build "$tmp/old/init" "$tmp/new/init" -o "$tmp/patch"

inside() { # inside CODE ARGUMENT...: staunch beside the old program as process 1
        expected=$1
        shift
        unshare --pid --fork --mount-proc "$tmp/init" "$staunch" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
        got=$?
        [ $got = "$expected" ] || fail "staunch $* beside process 1: exit code $got, expected $expected"
}

inside 3 apply "$tmp/patch" --pid 1 --json
shape actions
value "j['processes'][0]['outcome']" refused
value "j['processes'][0]['refusal']['code']" process-init
inside 3 apply "$tmp/patch" --all
says 'process-init'
says 'daemon-reexec'
inside 0 revert --pid 1 --json
value "j['processes'][0]['outcome']" current
inside 0 status --pid 1

# The program is upgraded while it runs.
cat >"$tmp/upgrade" <<U
#!/bin/sh
mv "$tmp/upgraded" "$tmp/init"
exec "$staunch" "\$@"
U
chmod +x "$tmp/upgrade"
staunch=$tmp/upgrade
for dry in --dry-run --json; do
        cp "$tmp/old/init" "$tmp/again"
        mv "$tmp/again" "$tmp/init"
        cp "$tmp/new/init" "$tmp/upgraded"
        inside 3 converge --root "$tmp" --json $dry
        shape converge
        value "[(p['pid'], i['outcome'], i['findings'][0]['code']) for p in j['processes'] for i in p['images']]" \
                "[(1, 'restart', 'process-init')]"
        value "j['summary']['errors']" 0
done
finish
