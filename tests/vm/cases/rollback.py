# SPDX-License-Identifier: Apache-2.0
"""A baseline after which the service does not run goes back by itself, from copies of the packages and from snapshots of
btrfs and of an LVM thin volume; power cuts in the middle of a baseline and of a rollback."""

import os

import daemons
import image
import load
import rig
import window

UNIT = "nginx.service"
# With the new version, and only with that, the service does not come up.
BREAK = """mkdir -p /etc/systemd/system/nginx.service.d && cat >/etc/systemd/system/nginx.service.d/break.conf <<'END'
[Service]
ExecStartPre=/bin/sh -c '! dpkg-query -W nginx | grep -qF "{version}"'
END
systemctl daemon-reload"""
# The root on another disk, /dev/vdc: what the machine has, in a subvolume or in a thin volume.
TO_SNAPSHOTS = """set -e
systemctl stop staunch-agent redis-server postgresql
%s
sync"""
TO_BTRFS = TO_SNAPSHOTS % """modprobe btrfs
mount /dev/vdc /mnt
python3 -c 'import fcntl, os; fcntl.ioctl(os.open("/mnt", os.O_RDONLY), 0x5000940e, bytearray(8) + b"@".ljust(4088, bytes(1)))'
cp -ax /. /mnt/@
echo '/dev/vdc / btrfs subvol=@ 0 0' >/mnt/@/etc/fstab
umount /mnt"""
# What the initramfs activated, udev has not seen: the root is not in its fstab, so that nobody waits for its device.
TO_LVM = TO_SNAPSHOTS % """modprobe dm-thin-pool
vgcreate --yes rig /dev/vdc
lvcreate --yes --type thin-pool --size 6G --name pool rig
lvcreate --yes --thin --virtualsize 4G --name root rig/pool
mke2fs -q -t ext4 /dev/rig/root
mount /dev/rig/root /mnt
cp -ax /. /mnt
: >/mnt/etc/fstab
umount /mnt
vgchange --activate n rig"""

# A service that refuses to be stopped by hand, in three versions: only a restart of the machine brings another into use, and
# the third does not say that it is ready, which is what its probe asks for.
READY = """set -e
version() {
        mkdir -p /srv/ready/$1/DEBIAN /srv/ready/$1/lib/systemd/system /srv/ready/$1/usr/lib
        cp $2 /srv/ready/$1/usr/lib/vm-ready
        printf '[Unit]\\nRefuseManualStop=yes\\n[Service]\\nTimeoutStartSec=20\\nExecStartPre=%s\\nExecStart=/usr/lib/vm-ready %s\\n' \\
                "$3" "$4" >/srv/ready/$1/lib/systemd/system/vm-ready.service
        printf '[Install]\\nWantedBy=multi-user.target\\n' >>/srv/ready/$1/lib/systemd/system/vm-ready.service
        printf 'Package: vm-ready\\nVersion: %s\\nArchitecture: amd64\\nMaintainer: vm <vm@vm>\\nDescription: ready\\n' $1 \\
                >/srv/ready/$1/DEBIAN/control
        dpkg-deb -b /srv/ready/$1 /srv/ready/$1.deb
}
version 1 /usr/bin/tail '/usr/bin/touch /run/vm-ready' '-f /dev/null'
version 2 /usr/bin/sleep '/usr/bin/touch /run/vm-ready' infinity
version 3 /usr/bin/tail /usr/bin/true '-f /dev/null'
"""
# What is done before the machine goes down, and when it is back, with the boot in which it is.
DRAINS = """[[probe]]
unit = "vm-ready.service"
command = ["/usr/bin/test", "-e", "/run/vm-ready"]
[[drain]]
unit = "machine"
before = "echo before machine $(cat /proc/sys/kernel/random/boot_id) >>/srv/drained"
after = "echo after machine $(cat /proc/sys/kernel/random/boot_id) >>/srv/drained"
[[drain]]
unit = "nginx.service"
before = "echo before nginx $(cat /proc/sys/kernel/random/boot_id) >>/srv/drained"
after = "echo after nginx $(cat /proc/sys/kernel/random/boot_id) >>/srv/drained"
"""


def version(m, package="nginx"):
    return m.check(f"dpkg-query -W -f '${{Version}}' {package}")


def consistent(bench, m, label):
    """What must hold whatever has happened."""
    audit = m.run("dpkg --audit")
    bench.check(f"{label}: dpkg finds nothing half done", audit.rc == 0 and not audit.out, audit.out)
    sound = m.run("python3 -c 'import sqlite3; print(sqlite3.connect(\"/var/lib/staunch/state.db\")"
                  ".execute(\"pragma integrity_check\").fetchone()[0])'")
    bench.check(f"{label}: the state is sound", sound.out.strip() == "ok" and not any(e["id"] == 1004 for e in m.events()),
                sound.out + sound.err)
    bench.check(f"{label}: the service and the agent run", m.active(UNIT) and m.active("staunch-agent"),
                m.run("systemctl --failed; systemctl status nginx staunch-agent").out)
    clients = load.Load(m.ports[80], daemons.DAEMONS["nginx"][2]()).start()
    clients.more(20)
    clients.stop()
    bench.check(f"{label}: it serves", not clients.lost, clients.lost[:5])


def baselines(m):
    return [b["state"] for b in m.json("staunch history")["baselines"]]


def prepare(m, bench, broken=True):
    """nginx in its new version on disk, its restart pending, and (`broken`) nothing good to come of it."""
    old, new = bench.base.pairs["nginx"]
    m.repository("old", "new")
    if broken:
        m.check(BREAK.format(version=new))
    follow = m.follow()
    m.apt("install --only-upgrade " + " ".join(image.PAIRS["nginx"]))
    m.await_event(follow, lambda e: e["id"] == 1020 and e["fields"].get("STAUNCH_UNIT") == UNIT)
    return old, new, follow


def open_window(m):
    m.start("cat >/etc/staunch/staunch.toml.d/10-vm.toml <<'END'\n" + window.POLICY.format(reboot="Never", **window.OPEN) +
            "END\nsystemctl reload staunch-agent")


def rolled_back(bench, m, label, old, new):
    bench.check(f"{label}: the old version is back", version(m) == old and baselines(m)[-1:] == ["rolled-back"],
                version(m) + m.run("staunch history").out)
    m.run("apt-get -q -y install --only-upgrade nginx")
    bench.check(f"{label}: apt does not install the new one again", version(m) == old,
                m.run("apt-cache policy nginx; cat /etc/apt/preferences.d/staunch-held").out)
    m.round()
    bench.check(f"{label}: it is not tried again", len(baselines(m)) == 1, m.run("staunch history; staunch list").out)
    number = m.json("staunch history")["baselines"][-1]["id"]
    m.check(f"staunch release {number}")
    bench.check(f"{label}: 'staunch release' lets it in again",
                f"Candidate: {new}" in m.check("apt-cache policy nginx"), m.run("apt-cache policy nginx").out)


def by_packages(bench):
    m = bench.boot("daemons", daemons.PORTS)
    old, new, follow = prepare(m, bench)
    open_window(m)
    _, seen = m.await_event(follow, lambda e: e["id"] in (1056, 1057))
    follow.stop()
    numbers = [n for n in window.ids(seen) if n in (1021, 1052, 1025, 1054, 1055, 1056, 1057)]
    log = m.run("journalctl -u 'staunch-rollback-*' -o cat")
    bench.check("by packages: the baseline fails and goes back", numbers == [1021, 1052, 1025, 1054, 1055, 1056],
                f"{numbers}\n{log.out}" + m.run("staunch events").out)
    bench.check("by packages: systemd ran the rollback as a unit", "staunch-rollback-1.service" in
                m.run("journalctl -o cat --grep staunch-rollback-1").out, log.out)
    consistent(bench, m, "by packages")
    rolled_back(bench, m, "by packages", old, new)


def by_hand(bench):
    """A baseline that went well is taken back by the administrator, with the guide's commands."""
    m = bench.boot("daemons", daemons.PORTS)
    old, new, follow = prepare(m, bench, broken=False)
    open_window(m)
    m.await_event(follow, lambda e: e["id"] == 1053)
    follow.stop()
    plan = m.check("staunch rollback --last --dry-run")
    bench.check("by hand: the plan names both versions, and nothing is done", old in plan and new in plan and version(m) == new,
                plan)
    done = m.run("staunch rollback --last --yes")
    bench.check("by hand: the baseline is taken back", done.rc == 0 and "was rolled back" in done.out, done.out + done.err)
    consistent(bench, m, "by hand")
    resumed = m.run("staunch rollback --resume")
    bench.check("by hand: nothing is left to go on with", resumed.rc == 0 and "No baseline is unfinished" in resumed.out,
                resumed.out + resumed.err)
    rolled_back(bench, m, "by hand", old, new)


def cut_in_baseline(bench):
    m = bench.boot("daemons", daemons.PORTS)
    _, new, follow = prepare(m, bench, broken=False)
    open_window(m)
    m.await_event(follow, lambda e: e["id"] == 1023)
    m.cut()
    m = bench.again(m.disk, daemons.PORTS)
    m.round()
    follow = m.follow()
    if not set(baselines(m)) <= {"done", "cancelled"}:
        m.await_event(follow, lambda e: e["id"] in (1053, 1054))
    label = "power cut in a baseline"
    consistent(bench, m, label)
    bench.check(f"{label}: it was ended, with the new version", version(m) == new and baselines(m) in (["done"], ["cancelled"]),
                m.run("staunch history").out)
    bench.check(f"{label}: nothing is pending", not m.json("staunch list")["restarts"], m.run("staunch list").out)


def cut_in_rollback(bench):
    for moment in ("begins", "unpacks"):
        m = bench.boot("daemons", daemons.PORTS)
        old, new, follow = prepare(m, bench)
        if moment == "unpacks":
            tail = m.start("tail -n0 -F /var/log/dpkg.log 2>/dev/null")
        open_window(m)
        if moment == "begins":
            m.await_event(follow, lambda e: e["id"] == 1055)
        else:
            next(line for kind, line in tail.each() if "status half-installed nginx" in line)
        m.cut()
        m = bench.again(m.disk, daemons.PORTS)
        label = f"power cut when a rollback {moment}"
        follow = m.follow()
        bench.figure(f"rollback_cut_{moment}_state_after_boot", baselines(m))
        if baselines(m) != ["rolled-back"]:
            m.await_event(follow, lambda e: e["id"] in (1056, 1057))
        consistent(bench, m, label)
        rolled_back(bench, m, label, old, new)
        bench.clean()


def from_snapshot(bench, provider, size_gib, format_command, copy, file_system):
    label = f"from a snapshot of {provider}"
    path = os.path.join(bench.folder, "extra.raw")
    with open(path, "wb") as f:
        f.truncate(size_gib << 30)
    if format_command:
        image.run([*format_command, path])
    disk = rig.Disk(os.path.join(bench.folder, "extra.qcow2"))
    image.run(["qemu-img", "convert", "-O", "qcow2", path, disk.path])
    os.unlink(path)
    m = bench.boot("daemons", daemons.PORTS, extra=disk)
    m.check(copy)
    m.off()
    m = bench.again(m.disk, daemons.PORTS, extra=disk, root=provider, reboots=True)
    bench.check(f"{label}: the root is on it", m.check("findmnt -no SOURCE,FSTYPE /").split() == file_system)
    m.check(f"printf '[baseline]\\nsnapshot = \"{provider}\"\\n' >/etc/staunch/staunch.toml.d/20-vm.toml && "
            "systemctl reload staunch-agent")
    old, new, follow = prepare(m, bench)
    m.start("cat >/etc/staunch/staunch.toml.d/10-vm.toml <<'END'\n" +
            window.POLICY.format(reboot="IfRequired", **window.OPEN) +
            "END\nsystemctl reload staunch-agent")
    m.await_event(follow, lambda e: e["id"] == 1055)
    try:
        bad, _ = m.await_event(follow, lambda e: e["id"] == 1057)
        raise rig.Failed(bad["message"])
    except rig.Gone:  # it reboots
        m.next_boot()
    m.settle()
    follow = m.follow()
    if baselines(m) != ["rolled-back"]:
        m.await_event(follow, lambda e: e["id"] in (1056, 1057))
    consistent(bench, m, label)
    rolled_back(bench, m, label, old, new)
    return m


def from_btrfs(bench):
    from_snapshot(bench, "btrfs", 4, ["mkfs.btrfs", "-q", "-f"], TO_BTRFS, ["/dev/vdc[/@]", "btrfs"])


def from_lvm(bench):
    m = from_snapshot(bench, "lvm", 8, None, TO_LVM, ["/dev/mapper/rig-root", "ext4"])
    volumes = m.check("lvs --noheadings --options lv_name rig").split()
    bench.check("from a snapshot of lvm: the merge has used it up", sorted(volumes) == ["pool", "root"], volumes)


def boot_id(m):
    return m.check("cat /proc/sys/kernel/random/boot_id").strip()


def baseline_of_machine(bench, m, number, window_name):
    """Installs that version, and has the machine restarted for it in a window; returns when the baseline has ended. The boots
    that there were, from the one before."""
    window.policy(m)  # which restarts no machine
    follow = m.follow()
    m.apt(f"install /srv/ready/{number}.deb")
    m.await_event(follow, lambda e: e["id"] == 1028)
    follow.stop()
    boots, n = [boot_id(m)], len(baselines(m))
    m.start("cat >/etc/staunch/staunch.toml.d/10-vm.toml <<'END'\n" +
            window.POLICY.format(reboot="IfRequired", **window.OPEN).replace("night", window_name) +
            "END\nsystemctl reload staunch-agent")
    while True:
        try:
            m.settle()
            now = boot_id(m)
            boots += [now] if now not in boots else []
            follow = m.follow()
            if len(baselines(m)) <= n or baselines(m)[-1] not in ("done", "rolled-back", "failed", "rollback-failed", "cancelled"):
                m.await_event(follow, lambda e: e["id"] in (1053, 1056, 1057, 1059))
            m.round()
            follow.stop()
            return boots
        except rig.Gone:  # it restarts
            m.next_boot()


def machine_alone(bench):
    """A baseline of nothing but a restart of the machine: one that goes well, and one that goes back, with another restart."""
    m = bench.boot("daemons", daemons.PORTS, reboots=True)
    m.check(READY)
    m.apt("install /srv/ready/1.deb")
    m.check("systemctl -q enable vm-ready && systemctl start vm-ready")
    m.check(f"cat >/etc/staunch/staunch.toml.d/20-vm.toml <<'END'\n{DRAINS}END")

    def drained(boots):
        """What was drained and taken into use, with numbers of boots in place of their ids."""
        lines = m.check("cat /srv/drained; : >/srv/drained").splitlines()
        return [f"{line.rsplit(' ', 1)[0]} {boots.index(line.rsplit(' ', 1)[1])}" for line in lines]

    def ready():
        return m.active("vm-ready") and m.run("test -e /run/vm-ready").rc == 0

    begun = len(m.events())
    boots = baseline_of_machine(bench, m, 2, "first")
    numbers = [n for n in window.ids(m.events()[begun:]) if n in (1029, *range(1052, 1060))]
    log = m.run("staunch events; staunch history; staunch list").out
    bench.check("the machine alone: one restart is a baseline, which is done", len(boots) == 2 and
                numbers == [1052, 1029, 1053] and baselines(m) == ["done"], f"{boots} {numbers}\n{log}")
    lines = drained(boots)
    bench.check("the machine alone: it and its units are drained before, and taken into use when it is back",
                lines == ["before machine 0", "before nginx 0", "after machine 1", "after nginx 1"], lines)
    bench.check("the machine alone: the new version runs, and nothing is pending", ready() and version(m, "vm-ready") == "2" and
                not m.json("staunch list")["restarts"], log)

    begun = len(m.events())
    boots = baseline_of_machine(bench, m, 3, "second")
    numbers = [n for n in window.ids(m.events()[begun:]) if n in (1029, *range(1052, 1060))]
    log = m.run("staunch events; staunch history; staunch list; journalctl -o cat -u 'staunch-rollback-*'").out
    bench.check("the machine alone, not well: it goes back, and restarts for that", len(boots) == 3 and
                numbers == [1052, 1029, 1054, 1055, 1029, 1056] and baselines(m) == ["done", "rolled-back"],
                f"{boots} {numbers}\n{log}")
    lines = drained(boots)
    bench.check("the machine alone, not well: what was drained stays so until the old version is back",
                lines == ["before machine 0", "before nginx 0", "after machine 2", "after nginx 2"], lines)
    bench.check("the machine alone, not well: the old version runs, and nothing is pending", ready() and
                version(m, "vm-ready") == "2" and not m.json("staunch list")["restarts"] and
                m.run("test -e /run/reboot-required").rc != 0, log)
    held = m.run("cat /etc/apt/preferences.d/staunch-held").out
    bench.check("the machine alone, not well: the new version is held", "Package: vm-ready\nPin: version 3\n" in held, held)
    m.round()
    bench.check("the machine alone, not well: it is not tried again", boot_id(m) == boots[-1] and len(baselines(m)) == 2,
                m.run("staunch history").out)
    consistent(bench, m, "the machine alone")


PARTS = (by_packages, by_hand, cut_in_baseline, cut_in_rollback, machine_alone, from_btrfs, from_lvm)
