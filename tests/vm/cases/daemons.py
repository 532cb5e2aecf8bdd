# SPDX-License-Identifier: Apache-2.0
"""The old version of each daemon, installed by apt and serving the outside."""

import os

import image
import load

# source -> (unit, port, protocol)
DAEMONS = {
    "haproxy": ("haproxy.service", 8080, lambda: load.Http()),
    "redis": ("redis-server.service", 6379, load.Redis),
    "nginx": ("nginx.service", 80, lambda: load.Http(expect=b"nginx")),
    "postgresql-15": ("postgresql@15-main.service", 5432, load.Postgres),
    "openssh": ("ssh.service", 22, None),
}
PORTS = [port for _, port, _ in DAEMONS.values()]

SETUP = """set -e
cat >/etc/haproxy/haproxy.cfg <<END
global
    stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
    mode http
    timeout client 600s
    timeout server 600s
    timeout connect 60s
frontend web
    bind :8080
    http-request return status 200 content-type text/plain string ok
END
printf 'bind 0.0.0.0\\nprotected-mode no\\n' >>/etc/redis/redis.conf
echo "listen_addresses = '*'" >>/etc/postgresql/15/main/postgresql.conf
echo "host all rig 10.0.2.0/24 trust" >>/etc/postgresql/15/main/pg_hba.conf
runuser -u postgres -- createuser rig
systemctl restart haproxy redis-server postgresql
"""


def run(bench):
    m = bench.boot("installed", PORTS)
    wanted = [p for s in DAEMONS if s in bench.base.pairs for p in image.PAIRS[s]]
    m.apt("install " + " ".join(wanted))
    m.check(SETUP)
    key = os.path.join(bench.folder, "key")
    for old in (key, key + ".pub"):
        if os.path.exists(old):
            os.unlink(old)
    image.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
    with open(key + ".pub") as f:
        m.check(f"mkdir -p -m 700 /root/.ssh && echo '{f.read().strip()}' >/root/.ssh/authorized_keys")
    for source in bench.base.pairs:
        if source not in DAEMONS:
            continue
        unit, port, protocol = DAEMONS[source]
        if protocol:
            l = load.Load(m.ports[port], protocol()).start()
            l.more(20)
            l.stop()
            bench.check(f"{unit} serves the outside", not l.lost, l.lost[:5])
        else:
            s = load.Shell(m.ports[port], key, bench.folder)
            bench.check(f"{unit} serves the outside", s.ask("hello"))
            s.stop()
    if "redis" in bench.base.pairs:  # and upgrade.py asserts that it is patched
        filtered = m.check(f"grep Seccomp: /proc/{m.pid('redis-server')}/status")
        bench.check("redis-server.service runs under the seccomp filter of its unit", filtered.split()[1] == "2", filtered)
    bench.check("nothing is patched, nothing is pending", not m.patched() and not m.json("staunch list")["restarts"],
                m.run("staunch status; staunch list").out)
    bench.keep(m, "daemons")
