# SPDX-License-Identifier: Apache-2.0
"""apt puts the old version back after the upgrade was patched in: the agent takes the patch out again, in the same process,
under load from outside. Then the new version once more."""

import daemons
import load
import upgrade

SOURCE = "haproxy"
UNIT, PORT, PROTOCOL = daemons.DAEMONS[SOURCE]


def move(bench, m, version, number):
    """apt installs this version under load; `number` is the event that each process of the unit must get. True when all
    that must hold in either direction does."""
    before, main = upgrade.processes(m, UNIT), m.pid(UNIT)
    label, done, failed = f"{UNIT} -> {version}", set(), []
    follow = m.follow()
    clients = load.Load(m.ports[PORT], PROTOCOL()).start()
    clients.more(40)
    out = m.apt(f"install --allow-downgrades {SOURCE}={version}")

    def settled(e):
        if e["fields"].get("STAUNCH_UNIT") == UNIT:
            if e["id"] == number:
                done.add(int(e["fields"]["STAUNCH_PID"]))
            if e["id"] in (1020, 20):
                failed.append(e)
        return bool(failed) or before <= done

    _, seen = m.await_event(follow, settled)
    follow.stop()
    clients.more(40)
    clients.stop()
    m.round()
    bench.check(f"{label}: each of its processes has its event", before <= done and not failed,
                "\n".join(map(str, seen)) + out)
    bench.check(f"{label}: the same processes, and apt's scripts restarted nothing",
                m.pid(UNIT) == main and upgrade.processes(m, UNIT) == before, m.run(f"systemctl status {UNIT}").out)
    bench.check(f"{label}: no request was lost", not clients.lost, clients.lost[:10])
    bench.figure(f"requests_during_{version}", clients.done)
    bench.figure(f"longest_request_msec_during_{version}", round(clients.longest_msec))
    held = m.run(f"ls /var/lib/staunch/held/{UNIT}")
    bench.check(f"{label}: nothing is pending or held, and every patch is whole", not m.pending(UNIT) and held.rc != 0 and
                m.run("staunch verify --all").rc == 0, m.run("staunch list; staunch verify --all").out + held.out)
    bench.check(f"{label}: a new round finds nothing to do",
                m.run("staunch converge --dry-run").rc == 0,
                m.run("staunch converge --dry-run").out)
    return before


def actions(m, pids):
    found = [(a["action"], a["outcome"]) for a in m.json("staunch history")["actions"] if a["pid"] in pids]
    return {kind: found.count(kind) for kind in sorted(set(found))}


def run(bench):
    if SOURCE not in bench.base.pairs:
        bench.skip(SOURCE, "the archive offers one version only")
        return
    old, new = bench.base.pairs[SOURCE]
    m = bench.boot("daemons", daemons.PORTS)
    m.repository("old", "new")
    pids = move(bench, m, new, 19)
    bench.check("up: patched", pids <= set(m.patched()), m.run("staunch status").out)
    move(bench, m, old, 1010)
    installed = m.check(f"dpkg-query -W -f '${{Version}}' {SOURCE}")
    bench.check("down: the old version is on disk, and no patch in force in its processes",
                installed == old and not pids & set(m.patched()), installed + m.run("staunch status").out)
    bench.check("down: the history has one patch and one revert for each process",
                actions(m, pids) == {("apply", "patched"): len(pids), ("revert", "reverted"): len(pids)},
                m.run("staunch history").out)
    move(bench, m, new, 19)
    bench.check("up again: patched again", pids <= set(m.patched()) and
                actions(m, pids) == {("apply", "patched"): 2 * len(pids), ("revert", "reverted"): len(pids)},
                m.run("staunch status; staunch history").out)
    bench.figure("agent_memory_mib_after_three_rounds", m.memory("staunch-agent"))
