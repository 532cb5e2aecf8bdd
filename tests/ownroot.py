# SPDX-License-Identifier: Apache-2.0
"""This machine's root, to change at will: an overlay of it in namespaces of mounts and processes of the test's own, so that
commands run as an administrator types them, with no --root."""

import os
import subprocess
import sys
import tempfile

MARK = "STAUNCH_OWN_ROOT"
# The folders of the source and the build may be mounts of their own; what the machine's agent knows is not the test's.
SETUP = """set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
mount --rbind /dev "$1/root/dev"
mount --rbind /sys "$1/root/sys"
mount -t proc proc "$1/root/proc"
for d in run tmp var/lib/staunch var/log/staunch etc/staunch; do
        mkdir -p "$1/root/$d"
        mount -t tmpfs tmpfs "$1/root/$d"
done
for d in "$2" "$3"; do
        mkdir -p "$1/root$d"
        mount --bind "$d" "$1/root$d"
done
cd "$1/root"
pivot_root . .
umount -l .
cd /
"""


def enter(*folders):
    """Goes on in there, with the arguments as absolute paths; two folders are seen there as well. Where that cannot be, the process ends with 77."""
    if os.environ.pop(MARK, None):
        return
    if os.geteuid() != 0:
        print("needs root")
        sys.exit(77)
    folder = tempfile.mkdtemp(prefix="staunch-root-")
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    try:
        probe = subprocess.run([*namespaces, "sh", "-c", SETUP, "sh", folder, *folders], stderr=subprocess.PIPE, text=True)
        if probe.returncode:
            print("no overlay of the root can be mounted here: " + " ".join(probe.stderr.split()))
            sys.exit(77)
        r = subprocess.run([*namespaces, "sh", "-c", SETUP + "shift 3\nexec \"$@\"", "sh", folder, *folders, sys.executable,
                            os.path.abspath(sys.argv[0]), *map(os.path.abspath, sys.argv[1:])], env={**os.environ, MARK: "1"})
    finally:
        os.rmdir(folder)
    sys.exit(r.returncode)
