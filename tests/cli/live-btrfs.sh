#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# live.sh on a btrfs subvolume, of which the kernel shows mappings with another device number than stat(2) has: on a file
# system of its own, on a loop device, in a mount namespace of its own.
set -eu
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
command -v mkfs.btrfs >/dev/null && [ -e /dev/loop-control ] || { echo "needs btrfs-progs and loop devices"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 711 "$dir" # one part of it is asked by somebody without privileges
mkdir "$dir/top"
truncate -s 512M "$dir/image"
mkfs.btrfs -q "$dir/image" >/dev/null
# What is mounted goes with the namespace, and the loop device with what is mounted.
# shellcheck disable=SC2016 # the inner shell's
unshare -m --propagation private sh -c '
        mount -o loop "$1/image" "$1/top" || { echo "this machine mounts no btrfs on a loop device"; exit 77; }
        btrfs subvolume create "$1/top/@" >/dev/null && TMPDIR=$1/top/@ "$2" "$3"
' sh "$dir" "$(dirname "$0")/live.sh" "$1" && r=0 || r=$?
exit "$r"
