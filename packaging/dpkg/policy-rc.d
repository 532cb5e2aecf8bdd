#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# policy-rc.d of staunch-agent: asked by packages' scripts before they start, stop or restart a service. While the agent
# runs with package_restarts = "hold" (it makes the file below), a restart at the end of an upgrade is answered with no and
# noted: the agent patches the service instead, or keeps the restart as pending. Everything else is allowed.
hold=/run/staunch/hold
held=/var/lib/staunch/held

[ "${1-}" != --quiet ] || shift
# A rollback puts old versions back, and what these ask for is no upgrade that could be patched instead.
[ -z "${STAUNCH_ROLLBACK-}" ] || exit 0
# Only what a package's postinst asks for: logrotate and others use invoke-rc.d as well.
[ -e "$hold" ] && [ "${DPKG_MAINTSCRIPT_NAME-}" = postinst ] || exit 0
case ${2-} in
restart | try-restart | reload | force-reload | reload-or-restart | upgrade | "(restart)") ;;
*) exit 0 ;;
esac
unit=$1
case $unit in
-* | */*) exit 0 ;;
*.service) ;;
*.socket | *.target | *.timer | *.path | *.mount) exit 0 ;;
*) unit=$unit.service ;;
esac
# A first installation starts what it needs, and starts again what it extends.
from=$(dpkg-query -W -f '${Config-Version}' "$DPKG_MAINTSCRIPT_PACKAGE:$DPKG_MAINTSCRIPT_ARCH" 2>/dev/null)
[ -n "$from" ] || exit 0
# The agent's own upgrade restarts it. What does not run has nothing that could be patched.
[ "$unit" != staunch-agent.service ] && systemctl --quiet is-active "$unit" || exit 0
while read -r pattern; do
        # shellcheck disable=SC2254 # it is a pattern
        case $unit in $pattern) exit 0 ;; esac
done <"$hold"
# Who asks, and the version that it is upgraded from. What asked before, and is not settled yet, stays with its own.
who="$DPKG_MAINTSCRIPT_PACKAGE $DPKG_MAINTSCRIPT_ARCH "
read -r boot </proc/sys/kernel/random/boot_id && read -r uptime _ </proc/uptime && mkdir -p "$held" || exit 0
earlier=$({ read -r of _ && [ "$of" = "$boot" ] && cat; } 2>/dev/null <"$held/$unit")
case "
$earlier" in *"
$who"*) who= ;; esac
# Without the note the restart would be lost: then it is allowed.
echo "$boot $uptime${earlier:+
$earlier}${who:+
$who$from}" >"$held/$unit" || exit 0
echo "staunch: the restart of $unit is held; 'staunch list' shows what is pending" >&2
exit 101
