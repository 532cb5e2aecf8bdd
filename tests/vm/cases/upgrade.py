# SPDX-License-Identifier: Apache-2.0
"""apt upgrades each daemon to its second version, under load from outside: patched without a lost request, or pending with
its reason. Then what befalls the agent (agent.py), and its end (removal.py), with those processes still patched."""

import os
import time

import agent
import daemons
import image
import load
import removal

# The pairs of versions for which the verdict is known: these must be patched.
HOTPATCHABLE = {("haproxy", "2.6.12-1+deb12u3", "2.6.12-1+deb12u4"),
                ("redis", "5:7.0.15-1~deb12u7", "5:7.0.15-1~deb12u10"),
                ("openssh", "1:9.2p1-2+deb12u9", "1:9.2p1-2+deb12u10")}
# Their packages stop them before they are unpacked, which nobody can hold.
STOPPED_BY_PACKAGE = {"postgresql-15"}

# A service that is no more than a script: an upgrade changes no code that runs.
SCRIPT = """set -e
for v in 1 2; do
        mkdir -p /srv/script/$v/DEBIAN /srv/script/$v/lib/systemd/system /srv/script/$v/usr/lib
        echo "# version $v
exec sleep infinity" >/srv/script/$v/usr/lib/vm-script
        printf '[Service]\\nExecStart=/bin/sh /usr/lib/vm-script\\n[Install]\\nWantedBy=multi-user.target\\n' \\
                >/srv/script/$v/lib/systemd/system/vm-script.service
        printf 'Package: vm-script\\nVersion: %s\\nArchitecture: all\\nMaintainer: vm <vm@vm>\\nDescription: a script\\n' $v \\
                >/srv/script/$v/DEBIAN/control
        printf '#!/bin/sh\\nsystemctl -q enable vm-script\\ndeb-systemd-invoke restart vm-script.service\\n' \\
                >/srv/script/$v/DEBIAN/postinst
        chmod 755 /srv/script/$v/DEBIAN/postinst
        dpkg-deb -b /srv/script/$v /srv/script/$v.deb
done
"""


def processes(m, unit):
    path = m.check(f"systemctl show -P ControlGroup {unit}").strip()
    return {int(p) for p in m.check(f"find /sys/fs/cgroup{path} -name cgroup.procs -exec cat {{}} +").split()}


def upgrade_one(bench, m, source, key):
    unit, port, protocol = daemons.DAEMONS[source]
    old, new = bench.base.pairs[source]
    before, main = processes(m, unit), m.pid(unit)
    follow = m.follow()
    if protocol:
        clients = load.Load(m.ports[port], protocol()).start()
        clients.more(40)
    else:
        clients = load.Shell(m.ports[port], key, bench.folder)
        clients.ask("before")
    m.apt("install --only-upgrade " + " ".join(image.PAIRS[source]))
    begun, patched, pending = time.monotonic(), set(), []

    def settled(e):
        if e["fields"].get("STAUNCH_UNIT") != unit:
            return False
        if e["id"] == 19:
            patched.add(int(e["fields"]["STAUNCH_PID"]))
        if e["id"] == 1020:
            pending.append(e)
        return bool(pending) or before <= patched

    label = f"{unit} {old} -> {new}"
    if source in STOPPED_BY_PACKAGE:
        follow.stop()
        clients.more(20)
        clients.stop()
        bench.figure(f"{source}_requests_lost_by_its_package", len(clients.lost))
        bench.check(f"{label}: came up new by its package's scripts, and nothing is pending",
                    m.pid(unit) != main and not m.pending(unit), m.run("staunch list").out)
        return
    _, seen = m.await_event(follow, settled)
    follow.stop()
    bench.figure(f"{source}_settled_sec_after_apt", round(time.monotonic() - begun, 1))
    bench.check(f"{label}: the service was not restarted", m.pid(unit) == main, m.run(f"systemctl status {unit}").out)
    if protocol:
        clients.more(40)
        clients.stop()
        bench.check(f"{label}: no request was lost", not clients.lost, clients.lost[:10])
        bench.figure(f"{source}_requests", clients.done)
        bench.figure(f"{source}_longest_request_msec", round(clients.longest_msec))
    else:
        bench.check(f"{label}: a session that was open goes on", clients.ask("after"))
        bench.check(f"{label}: a new one can be opened", clients.fresh())
        clients.stop()
    if (source, old, new) in HOTPATCHABLE:
        bench.check(f"{label}: patched", before <= patched and before <= set(m.patched()), "\n".join(map(str, seen)))
    if before <= patched:
        held = m.run(f"ls /var/lib/staunch/held/{unit}")
        bench.check(f"{label}: the patch took the restart's place", held.rc != 0 and not m.pending(unit),
                    held.out + m.run("staunch list").out)
        whole = m.run("staunch verify --all")
        bench.check(f"{label}: every patch is whole", whole.rc == 0, whole.out + whole.err)
        pauses = [a["pause_usec"] for a in m.json("staunch history")["actions"] if a["unit"] == unit]
        bench.figure(f"{source}_pause_usec", max(pauses, default=0))
    else:
        bench.check(f"{label}: pending, with its reason", all(m.pending(unit).values()) and m.pending(unit),
                    m.run("staunch list").out)
        bench.figure(f"{source}_pending", sorted(set(m.pending(unit).values())))


def script(bench, m):
    m.check(SCRIPT)
    m.apt("install /srv/script/1.deb")
    main = m.pid("vm-script.service")
    follow = m.follow()
    m.apt("install /srv/script/2.deb")
    m.await_event(follow, lambda e: e["id"] == 1020 and e["fields"].get("STAUNCH_UNIT") == "vm-script.service")
    bench.check("an upgrade that changes no running code: held, and pending as package-restart",
                m.pid("vm-script.service") == main and m.pending("vm-script.service") == {"": "package-restart"},
                m.run("staunch list").out)
    m.check("systemctl restart vm-script")
    m.round()
    bench.check("the restart is no longer pending once it was made", not m.pending("vm-script.service"),
                m.run("staunch list; ls -la /var/lib/staunch/held").out)


def run(bench):
    m = bench.boot("daemons", daemons.PORTS)
    m.repository("old", "new")
    key = os.path.join(bench.folder, "key")
    for source in daemons.DAEMONS:
        if source in bench.base.pairs:
            upgrade_one(bench, m, source, key)
        else:
            bench.skip(source, "the archive offers one version only")
    script(bench, m)
    agent.run(bench, m)
    removal.run(bench, m)
