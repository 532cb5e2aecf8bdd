# SPDX-License-Identifier: Apache-2.0
"""The power fails in the middle of an apply; the machine comes back consistent."""

import daemons
import image
import load


def run(bench):
    m = bench.boot("daemons", daemons.PORTS)
    m.repository("old", "new")
    sources = [s for s in ("haproxy", "redis") if s in bench.base.pairs]
    for moment in (43, 19):
        follow = m.follow()
        m.start("NEEDRESTART_SUSPEND=1 apt-get -q -y install --only-upgrade " + " ".join(
            p for s in sources for p in image.PAIRS[s]))
        event, _ = m.await_event(follow, lambda e, moment=moment: e["id"] == moment)
        m.cut()
        m = bench.again(m.disk, daemons.PORTS)
        label = f"power cut at {event['kind']}"
        bench.check(f"{label}: the machine comes up, the agent runs", m.active("staunch-agent"),
                    m.run("systemctl --failed; journalctl -u staunch-agent").out)
        # What dpkg had not finished is dpkg's to finish, as after any power cut.
        m.check("NEEDRESTART_SUSPEND=1 dpkg --configure -a 2>&1")
        m.round()
        bench.check(f"{label}: the state can be read", not any(e["id"] == 1004 for e in m.events()) and
                    m.json("staunch history") is not None, m.run("staunch events").out)
        bench.check(f"{label}: every process runs the new code; nothing is patched, nothing pends",
                    not m.patched() and not m.json("staunch list")["restarts"], m.run("staunch status; staunch list").out)
        doctor = m.json("staunch doctor")
        bench.check(f"{label}: the doctor finds nothing wrong",
                    not [c for c in doctor["checks"] if c["grade"] == "problem"], m.run("staunch doctor").out)
        for source in sources:
            unit, port, protocol = daemons.DAEMONS[source]
            clients = load.Load(m.ports[port], protocol()).start()
            clients.more(20)
            clients.stop()
            bench.check(f"{label}: {unit} serves", not clients.lost, clients.lost[:5])
        if moment == 43:  # once more, from the beginning
            m.cut()
            m = bench.boot("daemons", daemons.PORTS)
            m.repository("old", "new")
