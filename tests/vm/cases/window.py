# SPDX-License-Identifier: Apache-2.0
"""What can't be hotpatched is upgraded by apt: it waits for its maintenance window, and is restarted there, in the order of
the units' dependencies. Then the restart of the machine, by the policy, through logind."""

import daemons
import image
import load
import rig
import upgrade

WEB, SCRIPT = "nginx.service", "vm-script.service"
POLICY = """package_restarts = "hold"
[restart]
settle = "1s"
reboot = "{reboot}"
[baseline]
settle = "5s"
[[window]]
name = "night"
start = "{start}"
duration = "{duration}"
time_zone = "UTC"
recur = "Day"
"""
OPEN = {"start": "2026-01-01 00:00", "duration": "24h"}  # always

# A unit that refuses to be stopped by hand: only a restart of the machine brings its new program into use.
STAYS = """set -e
for v in 1 2; do
        mkdir -p /srv/stays/$v/DEBIAN /srv/stays/$v/lib/systemd/system /srv/stays/$v/usr/lib
        printf '[Unit]\\nRefuseManualStop=yes\\n[Service]\\nExecStart=/usr/lib/vm-stays -f /dev/null\\n' \\
                >/srv/stays/$v/lib/systemd/system/vm-stays.service
        printf '[Install]\\nWantedBy=multi-user.target\\n' >>/srv/stays/$v/lib/systemd/system/vm-stays.service
        printf 'Package: vm-stays\\nVersion: %s\\nArchitecture: amd64\\nMaintainer: vm <vm@vm>\\nDescription: stays\\n' $v \\
                >/srv/stays/$v/DEBIAN/control
done
cp /usr/bin/tail /srv/stays/1/usr/lib/vm-stays
cp /bin/cat /srv/stays/2/usr/lib/vm-stays
for v in 1 2; do dpkg-deb -b /srv/stays/$v /srv/stays/$v.deb; done
"""


def policy(m, **keys):
    """In force when this returns."""
    keys = {"reboot": "Never", **OPEN, **keys}
    follow = m.follow()
    m.check(f"cat >/etc/staunch/staunch.toml.d/10-vm.toml <<'END'\n{POLICY.format(**keys)}END\nsystemctl reload staunch-agent")
    m.await_event(follow, lambda e: e["id"] == 1002)
    follow.stop()


def ids(events, unit=None):
    return [e["id"] for e in events if unit in (None, e["fields"].get("STAUNCH_UNIT"))]


def restarts(bench):
    m = bench.boot("daemons", daemons.PORTS)
    m.repository("old", "new")
    m.check(upgrade.SCRIPT)
    m.check(f"mkdir -p /etc/systemd/system/{SCRIPT}.d && printf '[Unit]\\nAfter={WEB}\\n' >/etc/systemd/system/{SCRIPT}.d/order.conf")
    m.apt("install /srv/script/1.deb")
    # Tomorrow, as the guest's clock has it: the clock is put forward when all has been looked at.
    opens = int(m.check("date -u -d 'tomorrow 02:00' +%s"))
    policy(m, start=m.check("date -u -d 'tomorrow 02:00' '+%Y-%m-%d %H:%M'").strip(), duration="2h")
    before = {u: m.pid(u) for u in (WEB, SCRIPT)}
    follow = m.follow()
    m.apt("install /srv/script/2.deb")
    m.apt("install --only-upgrade " + " ".join(image.PAIRS["nginx"]))
    waiting = set()

    def both(e):
        if e["id"] == 1020:
            waiting.add(e["fields"].get("STAUNCH_UNIT"))
        return {WEB, SCRIPT} <= waiting

    m.await_event(follow, both)
    m.round()
    listed = {r["subject"]: r for r in m.json("staunch list")["restarts"]}
    bench.check("before its window: both wait, with their reason and the window's name",
                all(listed.get(u, {}).get("reason") and listed[u]["window"] == "night" for u in before), listed)
    bench.check("before its window: nothing was restarted", before == {u: m.pid(u) for u in before} and
                not {1021, 1023, 1024} & set(ids(m.events())), m.run("staunch events").out)
    bench.check("before its window: 'staunch status' does not call it patched", before[WEB] not in m.patched(), m.patched())
    bench.check("/run/reboot-required is not written for what a unit's restart brings into use",
                m.run("test -e /run/reboot-required").rc != 0, m.run("cat /run/reboot-required*").out)
    clients = load.Load(m.ports[80], daemons.DAEMONS["nginx"][2]()).start()
    clients.more(20)
    m.check(f"date -s @{opens + 1}")
    _, seen = m.await_event(follow, lambda e: e["id"] in (1053, 1054))
    follow.stop()
    clients.more(20)
    clients.stop()
    bench.figure("nginx_requests_lost_by_its_restart", len(clients.lost))
    order = [e["fields"]["STAUNCH_UNIT"] for e in seen if e["id"] == 1024]
    bench.check("in its window: both were restarted, in the order of their dependencies", order == [WEB, SCRIPT] and
                all(m.pid(u) != p and m.active(u) for u, p in before.items()), "\n".join(map(str, seen)))
    numbers = ids(seen)
    wanted = [1021, 1052, 1023, 1024, 1023, 1024, 1053]
    bench.check("in its window: the window's, the restarts' and the baseline's events, in their order",
                [n for n in numbers if n in wanted] == wanted, numbers)
    m.round()
    bench.check("after it: nothing is pending, nothing is held", not m.json("staunch list")["restarts"] and
                not m.run("ls /var/lib/staunch/held").out.strip(), m.run("staunch list; ls /var/lib/staunch/held").out)
    bench.check("after it: the baseline is in the history",
                [b["state"] for b in m.json("staunch history")["baselines"]] == ["done"], m.run("staunch history").out)
    follow = m.follow()
    m.check(f"date -s @{opens + 7201}")
    closed, _ = m.await_event(follow, lambda e: e["id"] == 1022)
    bench.check("the window closes with nothing left", ": 0 still" in closed["message"], closed)


def reboot(bench):
    m = bench.boot("daemons", daemons.PORTS, reboots=True)
    m.check(STAYS)
    m.apt("install /srv/stays/1.deb")
    m.check("systemctl -q enable vm-stays && systemctl start vm-stays")
    follow = m.follow()
    m.apt("install /srv/stays/2.deb")
    m.await_event(follow, lambda e: e["id"] == 1028)
    bench.check("/run/reboot-required and its .pkgs are written, and the restart is pending",
                "vm-stays" in m.run("cat /run/reboot-required.pkgs").out and m.pending("vm-stays.service"),
                m.run("cat /run/reboot-required*; staunch list").out)
    boot = m.check("cat /proc/sys/kernel/random/boot_id")
    m.start("cat >/etc/staunch/staunch.toml.d/10-vm.toml <<'END'\n" + POLICY.format(reboot="IfRequired", **OPEN) +
            "END\nsystemctl reload staunch-agent")
    try:
        m.await_event(follow, lambda e: e["id"] == 1029)
    except rig.Gone:  # it may be down before it is heard; the events are looked at below
        pass
    m.next_boot()
    m.settle()
    bench.check("the machine has restarted, by logind", m.check("cat /proc/sys/kernel/random/boot_id") != boot and
                m.run("journalctl -b -1 -u systemd-logind | grep -qi reboot").rc == 0,
                m.run("journalctl -b -1 -u systemd-logind -u staunch-agent").out)
    m.round()
    bench.check("the restart is no longer pending, nor is a reboot", not m.json("staunch list")["restarts"] and
                m.run("test -e /run/reboot-required").rc != 0, m.run("staunch list").out)
    bench.check("the agent runs, and does not restart the machine again", m.active("staunch-agent") and
                ids(m.events()).count(1029) == 1 and m.check("staunch doctor >/dev/null; cat /proc/sys/kernel/random/boot_id"),
                m.run("staunch events").out)
    bench.check("the state is sound", m.check("python3 -c 'import sqlite3; print(sqlite3.connect(\"/var/lib/staunch/state.db\")"
                                              ".execute(\"pragma integrity_check\").fetchone()[0])'").strip() == "ok")


PARTS = (restarts, reboot)
