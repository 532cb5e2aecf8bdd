#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The packages' maintainer scripts, each called as dpkg calls it, with programs of the test's own in place of the system's.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
count=0
failed=0

point() {
        count=$((count + 1))
        if [ "$1" = 0 ]; then
                echo "ok $count - $2"
        else
                echo "not ok $count - $2"
                sed 's/^/# /' "$work/log" "$work/said"
                failed=1
        fi
}

# A program that notes how it is called, and ends with this code.
stub() {
        printf '#!/bin/sh\necho "%s $*" >>"%s/log"\nexit %s\n' "$1" "$work" "$2" >"$work/bin/$1"
        chmod 755 "$work/bin/$1"
}

# call SCRIPT ARGUMENT...: with no other program, and its folders of state are below the test's.
call() {
        script=$1
        shift
        : >"$work/log"
        sed "s|/var/lib/staunch|$work/state|g; s|/var/log/staunch|$work/logs|g; s|/etc/apt|$work/apt|g; s|/\\.staunch-snapshots|$work/snapshots|g" "$here/debian/$script" >"$work/script"
        PATH="$work/bin" /bin/sh "$work/script" "$@" >"$work/said" 2>&1
}

logged() { grep -q -e "$1" "$work/log"; }

mkdir "$work/bin"
ln -s "$(command -v rm)" "$(command -v ls)" "$work/bin"
stub update-alternatives 0
stub adduser 0
stub getent 0
stub staunch 0
stub ischroot 1

call staunch.prerm remove
point $? "the command is removed"
logged '^staunch revert --all'
point $? "removing the command takes patches out"
stub staunch 3
call staunch.prerm remove && grep -q 'stay patched' "$work/said"
point $? "what cannot be taken out is said, and the removal goes on"
call staunch.prerm upgrade 0.2 && ! logged '^staunch'
point $? "an upgrade of the command takes nothing out"
# /proc shows the processes of the whole machine there, which this root has nothing to do with.
stub ischroot 0
call staunch.prerm remove && ! logged '^staunch'
point $? "a removal in a chroot leaves the machine's processes alone"
stub ischroot 1
rm "$work/bin/staunch"
call staunch.prerm remove
point $? "with the program gone, the removal goes on"

for why in configure abort-remove; do
        call staunch-agent.postinst "$why" && logged '^update-alternatives --install /usr/sbin/policy-rc.d policy-rc.d'
        point $? "$why: policy-rc.d is offered"
done
call staunch-agent.prerm upgrade 0.2 && ! logged '^update-alternatives'
point $? "an upgrade of the agent leaves policy-rc.d offered"

mkdir -p "$work/state/held"
call staunch-agent.prerm remove && logged '^update-alternatives --remove policy-rc.d'
point $? "removing the agent takes policy-rc.d back"
[ ! -s "$work/said" ]
point $? "with no restart held, it says nothing"
touch "$work/state/held/nginx.service" "$work/state/held/redis-server.service"
call staunch-agent.prerm remove && grep -q 'nginx.service redis-server.service' "$work/said"
point $? "with the agent gone nobody makes the restarts that were held: they are named"
call staunch-agent.prerm upgrade 0.2 && [ ! -s "$work/said" ]
point $? "an upgrade of the agent does not name them"
rm -r "$work/state"
call staunch-agent.prerm remove && [ ! -s "$work/said" ]
point $? "with the state gone, removing the agent goes on"

mkdir -p "$work/state" "$work/logs" "$work/apt/preferences.d"
touch "$work/state/state.db" "$work/logs/events.jsonl" "$work/apt/preferences.d/staunch-held" "$work/apt/preferences.d/mine"
call staunch-agent.postrm remove && [ -e "$work/state/state.db" ] && [ -e "$work/apt/preferences.d/staunch-held" ]
point $? "a removal keeps the state and what is held"
call staunch-agent.postrm purge && [ ! -e "$work/state" ] && [ ! -e "$work/logs" ] && [ "$(ls "$work/apt/preferences.d")" = mine ]
point $? "a purge takes the agent's own, and nothing else"
call staunch-agent.postrm purge && [ ! -s "$work/said" ]
point $? "once more, with nothing left, it says nothing"
mkdir -p "$work/snapshots/staunch-7"
# shellcheck disable=SC2016 # it is the stub that expands it
printf '#!/bin/sh\n[ "$4" = @staunch ] && echo "  vg/staunch-8"\n' >"$work/bin/lvs"
chmod 755 "$work/bin/lvs"
call staunch-agent.postrm purge && grep -q "delete: $work/snapshots/staunch-7" "$work/said" && grep -q 'delete: vg/staunch-8' "$work/said" &&
        [ -e "$work/snapshots/staunch-7" ]
point $? "a purge leaves snapshots of the root, and names them"

# policy-rc.d notes who asked for a restart that is held, and what it is upgraded from.
ln -s "$(command -v mkdir)" "$(command -v cat)" "$work/bin"
stub systemctl 0
printf '#!/bin/sh\necho "$from"\n' >"$work/bin/dpkg-query"
chmod 755 "$work/bin/dpkg-query"
echo 'db@*.service' >"$work/hold"
rm -rf "$work/state/held"
# asks PACKAGE FROM UNIT
asks() {
        sed "s|/var/lib/staunch|$work/state|g; s|/run/staunch|$work|g" "$here/packaging/dpkg/policy-rc.d" >"$work/script"
        PATH="$work/bin" DPKG_MAINTSCRIPT_NAME=postinst DPKG_MAINTSCRIPT_PACKAGE=$1 DPKG_MAINTSCRIPT_ARCH=amd64 from=$2 \
                /bin/sh "$work/script" "$3" restart >"$work/said" 2>&1
}
note="$work/state/held/web.service"
boot=$(cat /proc/sys/kernel/random/boot_id)
packages() { tail -n +2 "$note" | tr '\n' ,; }
asks web 1.0-1 web
[ $? = 101 ] && head -1 "$note" | grep -qx "$boot [0-9.]*" && [ "$(packages)" = 'web amd64 1.0-1,' ] &&
        [ "$(wc -l <"$work/said")" = 1 ]
point $? "a restart that is held is noted, with who asked"
asks libc6 2.36-9 web
[ $? = 101 ] && [ "$(packages)" = 'web amd64 1.0-1,libc6 amd64 2.36-9,' ]
point $? "another package that asks for it is noted as well"
asks web 1.0-2 web
[ $? = 101 ] && [ "$(packages)" = 'web amd64 1.0-1,libc6 amd64 2.36-9,' ]
point $? "a package that asks again keeps its first version"
sed -i "1s/^$boot/00000000-0000-0000-0000-000000000000/" "$note"
asks web 1.0-2 web
[ $? = 101 ] && head -1 "$note" | grep -q "^$boot " && [ "$(packages)" = 'web amd64 1.0-2,' ]
point $? "a note of an earlier boot is replaced"
asks web '' other && [ ! -e "$work/state/held/other.service" ]
point $? "what a first installation asks for is allowed"
asks db 1 db@main && [ ! -e "$work/state/held/db@main.service" ]
point $? "and so is what the policy excludes"

echo "1..$count"
exit $failed
