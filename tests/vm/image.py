# SPDX-License-Identifier: Apache-2.0
"""The machine that the cases start from: a root file system made by debootstrap, the archive's cloud kernel,
and two local repositories with two versions of each package that is upgraded. Made once and kept outside of
the repository, in a folder whose name is a hash of all that went in."""

import fcntl
import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tools", "lib"))

import archive  # noqa: E402

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "staunch", "vm")
SIZE = "3G"
KERNEL = "linux-image-cloud-amd64"
# What of each source is installed and upgraded. The first package gives the two versions.
PAIRS = {
    "haproxy": ["haproxy"],
    "redis": ["redis-server", "redis-tools"],
    "openssh": ["openssh-server", "openssh-client", "openssh-sftp-server"],
    "nginx": ["nginx"],
    "postgresql-15": ["postgresql-15", "postgresql-client-15", "libpq5"],
    "openssl": ["libssl3"],
}
BASE = ["systemd", "systemd-sysv", "udev", "dbus", "python3", "procps", "kmod", "iproute2", "adduser",
        "init-system-helpers", "ca-certificates", "needrestart", "lvm2", "thin-provisioning-tools", "e2fsprogs", "curl"]
MODULES = ["virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio-rng"]
# Roots on /dev/vdc: what each needs besides.
BTRFS = ["btrfs"]
LVM = ["dm-thin-pool"]
# {}: modules in the order in which they need one another. "probe" only tells that the machine runs; with "rig.root=btrfs" the
# root is the subvolume @ of /dev/vdc, with "rig.root=lvm" the thin volume rig/root of the group there.
INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
if /bin/busybox grep -qw probe /proc/cmdline; then
        echo "the machine runs" >/dev/ttyS0
        /bin/busybox reboot -f
fi
for m in {modules}; do /bin/busybox insmod /modules/$m; done
until [ -b /dev/vda ]; do /bin/busybox usleep 10000; done
if /bin/busybox grep -qw rig.root=btrfs /proc/cmdline; then
        for m in {btrfs}; do /bin/busybox insmod /modules/$m; done
        until [ -b /dev/vdc ]; do /bin/busybox usleep 10000; done
        /bin/busybox mount -t btrfs -o subvol=@ /dev/vdc /root
elif /bin/busybox grep -qw rig.root=lvm /proc/cmdline; then
        for m in {lvm}; do /bin/busybox insmod /modules/$m; done
        until [ -b /dev/vdc ]; do /bin/busybox usleep 10000; done
        /bin/busybox mount -t sysfs sys /sys
        /usr/sbin/lvm vgchange --activate y --config 'activation {{ udev_sync=0 udev_rules=0 monitoring=0 }} \
global {{ thin_check_executable="" }} backup {{ backup=0 archive=0 }}' rig >/dev/ttyS0 2>&1
        /bin/busybox mount -t ext4 /dev/mapper/rig-root /root
        /bin/busybox umount /sys
else
        /bin/busybox mount -t ext4 /dev/vda /root
fi
/bin/busybox mount --move /dev /root/dev
/bin/busybox umount /proc
exec /bin/busybox switch_root /root /sbin/init
"""


class Unavailable(Exception):
    """What the rig needs can't be had here; its text is the reason for which the cases are skipped."""


def run(command, **options):
    r = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **options)
    if r.returncode:
        last = (r.stderr.strip() or r.stdout.strip()).splitlines()[-6:]
        raise RuntimeError(f"{' '.join(command)[:200]} failed ({r.returncode}):\n" + "\n".join(last))
    return r.stdout


def sources():
    """The archive that this machine uses, as (uri, suite, component, signed-by)."""
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)|$(ORIGIN)"
    lines = run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"]).splitlines()
    # A field without a value is printed as it was asked for.
    return [tuple("" if f.startswith("$(") else f for f in line.split("|")[:4])
            for line in lines if line.endswith("|Debian")]


def choose(offered):
    """source -> (old, new): the newest version and the one before it, where there are two."""
    pairs = {}
    for source, names in PAIRS.items():
        pair = offered.pair(names[0])
        if pair:
            pairs[source] = (pair[0].version, pair[1].version)
    return pairs


class Image:
    """Its folder has root.img, vmlinuz, initrd and about.json."""

    def __init__(self, folder):
        self.folder = folder
        self.disk, self.kernel, self.initrd = (os.path.join(folder, n) for n in ("root.img", "vmlinuz", "initrd"))
        with open(os.path.join(folder, "about.json")) as f:
            about = json.load(f)
        self.release = about["kernel"]
        self.pairs = {k: tuple(v) for k, v in about["pairs"].items()}


def make(depends, say):
    """`depends` are the packages that the ones under test depend on, as their control files name them."""
    for tool in ("qemu-system-x86_64", "qemu-img", "debootstrap", "mke2fs", "apt-ftparchive"):
        if not shutil.which(tool):
            raise Unavailable(f"{tool} is not installed")
    if os.geteuid() != 0:
        raise Unavailable("making the root file system needs root")
    offered = archive.Archive()
    kernel = offered.versions(KERNEL)
    if not kernel or not sources():
        raise Unavailable("the archive that apt knows here offers no cloud kernel")
    pairs = choose(offered)
    made_by = (_make, _write, _configure, _inside, _repositories, _kernel, _load_order, _initrd)
    recipe = "".join(map(inspect.getsource, made_by)).encode() + repr((SIZE, PAIRS, BASE, MODULES, BTRFS, LVM, INIT)).encode()
    for name in sorted(os.listdir(os.path.join(HERE, "guest"))):
        with open(os.path.join(HERE, "guest", name), "rb") as f:
            recipe += name.encode() + f.read()
    key = hashlib.sha256(recipe + json.dumps([kernel[-1].version, pairs, sorted(depends), sources()]).encode())
    folder = os.path.join(CACHE, key.hexdigest()[:16])
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(os.path.join(folder, "about.json")):
            work = folder + ".making"
            shutil.rmtree(work, ignore_errors=True)
            os.makedirs(work)
            say("making the root file system (once; some minutes)")
            _make(work, offered, kernel[-1], pairs, depends, say)
            with open(os.path.join(work, "about.json"), "w") as f:
                json.dump({"pairs": pairs, "kernel": kernel[-1].version}, f)
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(work, folder)
    return Image(folder)


def _make(work, offered, kernel, pairs, depends, say):
    root = os.path.join(work, "root")
    listed = sources()
    main = next(s for s in listed if "security" not in s[0] and "-" not in s[1])
    run(["debootstrap", "--variant=minbase", "--include=" + ",".join(BASE), main[1], root, main[0]])
    _configure(root, listed, pairs)
    say("the packages and their two versions")
    _repositories(root, offered, pairs, depends)
    say("the kernel")
    release = _kernel(work, root, offered, kernel)
    _initrd(work, root, release, offered)
    for d in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(os.path.join(root, d))
        os.makedirs(os.path.join(root, d, "partial"))
    say("the disk")
    run(["mke2fs", "-q", "-t", "ext4", "-d", root, os.path.join(work, "root.img"), SIZE])
    shutil.rmtree(root)


def _write(root, path, text, mode=0o644):
    path = os.path.join(root, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def _configure(root, listed, pairs):
    lines = [f"deb {'[signed-by=' + key + '] ' if key else ''}{uri} {suite} {component}\n"
             for uri, suite, component, key in listed]
    _write(root, "etc/apt/sources.list", "".join(lines))
    _write(root, "etc/apt/apt.conf.d/90rig", 'APT::Install-Recommends "false";\nDpkg::Use-Pty "false";\n'
           'APT::Sandbox::User "root";\n')
    _write(root, "etc/apt/preferences.d/rig", "".join(
        f"Package: src:{source}\nPin: version {old}\nPin-Priority: 1001\n\n" for source, (old, _) in pairs.items()))
    _write(root, "etc/hostname", "vm\n")
    _write(root, "etc/hosts", "127.0.0.1 localhost vm\n")
    _write(root, "etc/fstab", "/dev/vda / ext4 defaults 0 1\n")
    _write(root, "etc/systemd/network/10-rig.network",
           "[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\nLinkLocalAddressing=no\n")
    _write(root, "etc/systemd/journald.conf.d/rig.conf", "[Journal]\nStorage=persistent\nRateLimitBurst=0\n")
    shutil.copy(os.path.join(HERE, "guest", "rig.py"), os.path.join(root, "usr/local/lib/rig.py"))
    shutil.copy(os.path.join(HERE, "guest", "rig.service"), os.path.join(root, "etc/systemd/system"))
    run(["systemctl", "--root", root, "enable", "rig.service", "systemd-networkd.service"])
    run(["systemctl", "--root", root, "mask", "apt-daily.timer", "apt-daily-upgrade.timer", "getty.target",
         "serial-getty@ttyS0.service", "systemd-networkd-wait-online.service", "e2scrub_reap.service", "e2scrub_all.timer"])


def _inside(root, *command):
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    return run(["chroot", root, *command], env=env)


def _repositories(root, offered, pairs, depends):
    """Old versions with what they need in one repository, new ones in the other. What they need is installed
    already, so that the guest installs no more than the package itself."""
    wanted = [p for s in pairs for p in PAIRS[s]]
    _inside(root, "apt-get", "-qq", "update")
    _inside(root, "apt-get", "-qq", "-y", "--allow-downgrades", "dist-upgrade")
    _inside(root, "apt-get", "-qq", "-y", "install", *depends)
    _inside(root, "apt-get", "clean")
    _inside(root, "apt-get", "-qq", "-y", "--download-only", "install", *wanted)
    store = os.path.join(root, "var/cache/apt/archives")
    old, new = (os.path.join(root, "srv/repo", n) for n in ("old", "new"))
    os.makedirs(old)
    os.makedirs(new)
    needed, newer = [], []
    for name in sorted(f for f in os.listdir(store) if f.endswith(".deb")):
        shutil.copy(os.path.join(store, name), old)
        fields = dict(re.findall(r"^(Package|Version|Source): (.*)$", run(["dpkg-deb", "-f", os.path.join(store, name)]),
                                 re.M))
        source = fields.get("Source", fields["Package"]).split()[0]
        if source not in pairs:
            needed.append(fields["Package"])
    # libssl3 is in the root file system already, in its old version.
    for source, (before, after) in pairs.items():
        for name, versions in offered.packages.items():
            p = versions.get(after)
            if p and p.source == source and (name in PAIRS[source] or any(
                    f.startswith(name + "_") for f in os.listdir(old))):
                newer.append(p)
    for path in offered.fetch_all(newer):
        shutil.copy(path, new)
    _inside(root, "apt-get", "-qq", "-y", "install", *needed)
    os.remove(os.path.join(root, "etc/apt/preferences.d/rig"))
    for repo in (old, new):
        with open(os.path.join(repo, "Packages"), "w") as f:
            f.write(run(["apt-ftparchive", "packages", "."], cwd=repo))
    _write(root, "etc/apt/sources.list", "deb [trusted=yes] file:/srv/repo/old ./\n")


def _kernel(work, root, offered, meta):
    name = re.search(r"linux-image-[0-9][^ ,]*", meta.depends).group(0)
    deb = offered.fetch(offered.versions(name)[-1])
    run(["dpkg-deb", "-x", deb, os.path.join(work, "kernel")])
    release = name[len("linux-image-"):]
    shutil.move(os.path.join(work, "kernel/boot/vmlinuz-" + release), os.path.join(work, "vmlinuz"))
    shutil.move(os.path.join(work, "kernel/lib/modules", release), os.path.join(root, "usr/lib/modules", release))
    shutil.rmtree(os.path.join(work, "kernel"))
    _inside(root, "depmod", release)
    return release


def _load_order(folder, names):
    """Paths of these modules and of what they need, each after what it needs."""
    needs, order = {}, []
    with open(os.path.join(folder, "modules.dep")) as f:
        for line in f:
            path, _, rest = line.partition(":")
            needs[path] = rest.split()

    def add(path):
        for p in needs[path]:
            add(p)
        if path not in order:
            order.append(path)

    for name in names:
        add(next(p for p in needs if os.path.basename(p) == name + ".ko"))
    return order


def _initrd(work, root, release, offered):
    deb = offered.fetch(offered.versions("busybox-static")[-1])
    run(["dpkg-deb", "-x", deb, os.path.join(work, "busybox")])
    modules = os.path.join(root, "usr/lib/modules", release)
    order = _load_order(modules, MODULES)
    btrfs, lvm = ([p for p in _load_order(modules, names) if p not in order] for names in (BTRFS, LVM))
    init = INIT.format(**{k: " ".join(map(os.path.basename, v))
                          for k, v in (("modules", order), ("btrfs", btrfs), ("lvm", lvm))})
    programs = ["/usr/sbin/lvm", *re.findall(r"(/\S+) \(0x", _inside(root, "ldd", "/usr/sbin/lvm"))]
    folders = {"bin", "proc", "sys", "dev", "root", "modules", "run", "run/lock"}
    for path in programs:
        while (path := os.path.dirname(path)) != "/":
            folders.add(path[1:])
    members = [(name, None, 0o40755) for name in sorted(folders)]
    members.append(("init", init.encode(), 0o100755))
    for path in programs:
        with open(os.path.join(root, path[1:]), "rb") as f:
            members.append((path[1:], f.read(), 0o100755))
    with open(os.path.join(work, "busybox/bin/busybox"), "rb") as f:
        members.append(("bin/busybox", f.read(), 0o100755))
    shutil.rmtree(os.path.join(work, "busybox"))
    for path in dict.fromkeys(order + btrfs + lvm):
        with open(os.path.join(modules, path), "rb") as f:
            members.append(("modules/" + os.path.basename(path), f.read(), 0o100644))
    with open(os.path.join(work, "initrd"), "wb") as f:
        for i, (name, data, mode) in enumerate([*members, ("TRAILER!!!", None, 0)]):
            fields = [i + 1, mode, 0, 0, 1, 0, len(data or b""), 0, 0, 0, 0, len(name) + 1, 0]
            header = b"070701" + b"".join(b"%08X" % v for v in fields) + name.encode() + b"\0"
            f.write(header + b"\0" * (-len(header) % 4) + (data or b"") + b"\0" * (-len(data or b"") % 4))
