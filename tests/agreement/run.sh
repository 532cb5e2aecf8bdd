#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [STAUNCH [RESULT]]: is the layout verdict without debug information right? Builds real packages at
# two versions with debug information (the first run takes a while; what is built is kept in the cache),
# and compares `staunch diff --no-debug` of the stripped files with what debug information says.
# PACKAGES and CARRIED choose what is built ("none": nothing more than what is there).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
staunch=${1:-build/src/cli/staunch}
result=${2:-build/agreement/result.json}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/staunch/agreement
packages=${PACKAGES:-expat memcached mosquitto haproxy tiff libpng1.6 jq libtasn1-6 giflib libssh2 libssh libarchive
        c-ares stunnel4 unbound openjpeg2 rsyslog openssh redis nginx sudo}

if [ "$packages" != none ]; then
        if [ "$(id -u)" = 0 ]; then
                apt-get install -qq -y --no-install-recommends dpkg-dev fakeroot debhelper > /dev/null
        fi
        # A package that cannot be had or built today is said, and left out.
        # shellcheck disable=SC2086
        "$here/build.sh" $packages || true
fi
if [ "${CARRIED:-}" != none ] && command -v npm > /dev/null; then
        # shellcheck disable=SC2086
        "$here/carried.sh" ${CARRIED:-} || true
fi
exec python3 "$here/real.py" "$staunch" "$cache/build" "$result"
