# SPDX-License-Identifier: Apache-2.0
"""The packages are removed and purged while processes are patched: only a process whose way back is not proved is left as it is,
which is said, and nothing is left behind."""

import json


def run(bench, m):
    patched = set(m.patched())
    pids = {u: m.pid(u) for u in ("haproxy", "redis-server")}
    m.apt("remove staunch-agent")
    bench.check("removing the agent alone leaves patches in, and the command to take them out",
                set(m.patched()) == patched and patched, m.run("staunch status").out)
    bench.check("packages may restart their services again", m.run("test -e /usr/sbin/policy-rc.d").rc != 0)
    m.check("cp /usr/bin/staunch /root/look")
    out = m.apt("remove staunch")
    left = m.run("/root/look status --json").out
    stay = [p["way_back"] for x in json.loads(left)["processes"] for p in x["patches"] if p["state"] == "active"]
    bench.check("removing the command reverts every patch but those whose way back is not proved, and says so",
                set(stay) <= {"unproved"} and ("stay patched" in out) == bool(stay), out + left)
    bench.check("the services go on", all(m.pid(u) == p for u, p in pids.items()) and
                m.run("redis-cli ping").out.strip() == "PONG" and m.run("curl -sf http://127.0.0.1:8080/").out == "ok")
    m.check("rm /root/look")
    m.check("rm -r /etc/staunch/staunch.toml.d")  # the administrator's own
    m.apt("purge staunch staunch-agent")
    left = m.check("find / -xdev -name '*staunch*' -not -path '/proc/*' -not -path '/srv/*' -not -path '/var/log/apt/*' "
                   "-not -path '/tmp/*'; systemctl list-units --all --no-legend 'staunch*'; ls -d /run/staunch 2>/dev/null; true")
    bench.check("purge leaves nothing behind", left.strip() == "", left)
