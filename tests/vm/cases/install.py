# SPDX-License-Identifier: Apache-2.0
"""apt installs both packages; the unit runs, and each process of it is as narrow as it claims."""

import re


def status(m, pid):
    return dict(re.findall(r"^(\w+):\s*(.*)$", m.check(f"cat /proc/{pid}/status"), re.M))


def reload(bench, m):
    follow = m.follow()
    r = m.run("mv /usr/bin/kill /usr/bin/kill.away; systemctl reload staunch-agent; rc=$?; mv /usr/bin/kill.away /usr/bin/kill; exit $rc")
    if bench.check("it reads its policy again, also where no package has brought /bin/kill", r.rc == 0,
                   r.err + m.run("journalctl -o cat -n 5 -u staunch-agent").out):
        m.await_event(follow, lambda e: e["id"] == 1002)
    follow.stop()


def start_again(bench, m):
    """What keeps it from starting lasts for some tries, and passes."""
    m.check("systemctl stop staunch-agent && mount -t tmpfs -o ro tmpfs /var/lib/staunch && systemctl start --no-block staunch-agent")
    gave_up = m.run("until [ $(systemctl show -P NRestarts staunch-agent) -ge 6 ] || systemctl is-failed -q staunch-agent; do sleep 0.2; done; "
                    "systemctl is-failed -q staunch-agent").rc == 0
    m.check("umount /var/lib/staunch")
    if gave_up:
        m.check("systemctl reset-failed staunch-agent && systemctl start staunch-agent")
    m.check("until systemctl is-active -q staunch-agent; do sleep 0.2; done")
    bench.check("a folder of state that is not to be written for a while: it starts by itself when that is over", not gave_up,
                m.run("journalctl -o cat -n 20 -u staunch-agent").out)


def run(bench):
    m = bench.boot("")
    m.check("mkdir -p /srv/staunch && tar -xf /dev/vdb -C /srv/staunch")
    m.repository("old")
    # The administrator has asked that services are patched and not restarted.
    m.check("mkdir -p /etc/staunch/staunch.toml.d && "
            "echo 'package_restarts = \"hold\"' >/etc/staunch/staunch.toml.d/10-vm.toml")
    m.apt("install /srv/staunch/*.deb")
    bench.check("the unit is active after apt install", m.active("staunch-agent"),
                m.run("systemctl status staunch-agent; journalctl -u staunch-agent").out)
    bench.check("it is enabled", m.check("systemctl is-enabled staunch-agent").strip() == "enabled")
    bench.check("it told that it runs", any(e["id"] == 1000 for e in m.events()), m.run("staunch events").out)
    pid = m.pid("staunch-agent")
    vault = int(m.check(f"pgrep -P {pid} -x staunch-vault"))
    applier, narrow = status(m, pid), status(m, vault)
    bench.check("the vault is another user, who may nothing", narrow["CapEff"] == narrow["CapPrm"] == "0" * 16 and
                narrow["Uid"].split()[0] == m.check("id -u staunch").strip(), narrow)
    bench.check("a seccomp filter holds the vault, none the applier, and no new privileges are to be had",
                narrow["Seccomp"] == "2" and applier["Seccomp"] == "0" and
                all(s["NoNewPrivs"] == "1" for s in (applier, narrow)), (applier, narrow))
    caps = int(applier["CapBnd"], 16)
    forbidden = {"SYS_MODULE": 16, "SYS_BOOT": 22, "SYS_TIME": 25, "NET_RAW": 13, "SYS_RAWIO": 17, "MAC_ADMIN": 33,
                 "BPF": 39}
    bench.check("the applier has given up what it never needs", not any(caps >> n & 1 for n in forbidden.values()),
                applier["CapBnd"])
    sockets = m.check(f"for p in {pid} {vault}; do nsenter -t $p -n ss -Htulpn | grep -F pid=$p, || true; done")
    bench.check("neither listens on a network", sockets == "", sockets)
    bench.check("the agent's folders are root's alone",
                m.check("stat -c '%a %U' /var/lib/staunch /run/staunch/control").split() ==
                ["700", "root", "600", "root"], m.run("ls -la /var/lib/staunch /run/staunch").out)
    verify = m.run("systemd-analyze verify --man=no staunch-agent.service")
    bench.check("systemd finds nothing wrong with the unit", verify.rc == 0 and "staunch" not in verify.err, verify.err)
    held = m.run("update-alternatives --query policy-rc.d").out
    bench.check("policy-rc.d is offered as an alternative", "Value: /usr/libexec/staunch/policy-rc.d" in held, held)
    bench.check("the policy holds packages' restarts", m.run("test -e /run/staunch/hold").rc == 0)
    doctor = m.json("staunch doctor")
    bad = [c for c in doctor["checks"] if c["grade"] == "problem"]
    bench.check("the doctor finds the machine fit", not bad, bad)
    bench.figure("agent_memory_mib", m.memory("staunch-agent"))
    reload(bench, m)
    start_again(bench, m)
    bench.keep(m, "installed")
