# SPDX-License-Identifier: Apache-2.0
"""The agent is killed, and upgraded, while processes are patched: nothing is unpatched, nothing is patched twice."""


def picture(m):
    """What must not change: each process's patches, and when each was applied."""
    return {pid: sorted((p["digest"], p["time"], p["sites_intact"]) for p in patches) for pid, patches in m.patched().items()}


def applied(m):
    return sum(a["action"] == "apply" and a["outcome"] == "patched" for a in m.json("staunch history")["actions"])


def same(bench, m, what, before, count):
    m.round()
    bench.check(f"{what}: every patch is there, once, and whole", picture(m) == before and before,
                f"{before}\n{picture(m)}")
    bench.check(f"{what}: nothing was applied again", applied(m) == count, m.run("staunch history").out)


def run(bench, m):
    before, count, pid = picture(m), applied(m), m.pid("staunch-agent")
    follow = m.follow()
    m.check(f"kill -KILL {pid}")
    m.await_event(follow, lambda e: e["id"] == 1000)
    follow.stop()
    bench.check("kill -9 of the agent: systemd starts it again",
                m.active("staunch-agent") and m.pid("staunch-agent") != pid)
    same(bench, m, "kill -9 of the agent", before, count)
    pid = m.pid("staunch-agent")
    m.apt("install /srv/staunch/next/*.deb")
    bench.check("upgrade of the agent: the new one runs", m.active("staunch-agent") and m.pid("staunch-agent") != pid)
    same(bench, m, "upgrade of the agent", before, count)
    m.check("systemctl stop staunch-agent && rm -r /var/lib/staunch/* && systemctl start staunch-agent")
    m.round()
    bench.check("loss of the state folder: every patch is there, once, and whole", picture(m) == before, picture(m))
    bench.check("loss of the state folder: nothing is applied again", applied(m) == 0, m.run("staunch history").out)
