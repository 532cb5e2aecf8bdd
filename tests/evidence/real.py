#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""real.py STAUNCH: the same on a real server of the archive, whose update names a CVE."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from machine import ENV, Machine, equal, one_image

STAUNCH = sys.argv[1]
PACKAGE, LIBRARY = "haproxy", "liblua5.3-0"


def skip(why):
    print(why)
    sys.exit(77)


def versions():
    """The newest two that the archive offers, the older first; none where it has one only."""
    r = subprocess.run(["apt-cache", "madison", PACKAGE], capture_output=True, text=True, env=ENV)
    found = [line.split("|")[1].strip() for line in r.stdout.splitlines() if line.count("|") == 2]
    return list(reversed(list(dict.fromkeys(found))[:2]))


def download(folder, *what):
    os.chmod(folder, 0o755)
    r = subprocess.run(["apt-get", "-qq", "download", *what], cwd=folder, capture_output=True, text=True, env=ENV)
    if r.returncode:
        skip(f"the archive cannot be reached: {r.stderr.strip().splitlines()[-1]}")


class Server:
    def __init__(self, m, libraries):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        config = os.path.join(m.dir, "haproxy.cfg")
        with open(config, "w") as f:
            f.write(f"frontend f\n bind 127.0.0.1:{self.port}\n mode http\n timeout client 5s\n"
                    " http-request return status 200 content-type text/plain string ok\n")
        self.process = subprocess.Popen([m.path("/usr/sbin/haproxy"), "-db", "-f", config], stderr=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, env={**ENV, "LD_LIBRARY_PATH": libraries})
        self.pid = self.process.pid
        while not self.serves():
            if self.process.poll() is not None:
                raise AssertionError(f"haproxy ended with {self.process.returncode}")

    def serves(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return b" 200 " in s.recv(1000)
        except ConnectionRefusedError:
            return False

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


if os.geteuid() != 0 or not shutil.which("dpkg") or not shutil.which("apt-get"):
    skip("needs root, dpkg and apt-get")
pair = versions()
if len(pair) != 2:
    skip(f"the archive has not two versions of {PACKAGE}")
m = Machine(STAUNCH, None)
folder = tempfile.mkdtemp(prefix="staunch-evidence-real-")
try:
    download(folder, *(f"{PACKAGE}={v}" for v in pair), LIBRARY)
    libraries = os.path.join(folder, "libraries")

    def unpack(version):
        deb = next(f for f in os.listdir(folder) if f.startswith(f"{PACKAGE}_{version.replace(':', '%3a')}_"))
        subprocess.run(["dpkg", f"--root={m.root}", f"--log={m.root}/var/log/dpkg.log",
                        "--force-depends,script-chrootless", "--unpack", os.path.join(folder, deb)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)

    for name in os.listdir(folder):
        if name.startswith(LIBRARY):
            subprocess.run(["dpkg-deb", "-x", os.path.join(folder, name), libraries], check=True)
    unpack(pair[0])
    t = Server(m, os.path.join(libraries, "usr/lib/x86_64-linux-gnu"))
    m.targets.append(t)
    unpack(pair[1])
    # Without a CVE in the update there is nothing to ask for: say so rather than pass.
    known = json.loads(subprocess.run([STAUNCH, "cve", "--json", "--root", m.root, "--state", m.state],
                                      capture_output=True, text=True, env=ENV).stdout)["cves"]
    if not known:
        skip(f"the update of {PACKAGE} {pair[0]} to {pair[1]} names no CVE")
    cve = known[0]["cve"]
    image = one_image(m.cve(3, cve), t.pid)
    equal((image["state"], image["version"]), ("exposed-in-memory", pair[0]), "after the upgrade")
    # By the file's date alone, too.
    os.rename(m.path("/var/log/dpkg.log"), m.path("/var/log/kept"))
    image = one_image(m.cve(3, cve), t.pid)
    equal((image["version"], image["version_from"]), (pair[0], "changelog-date"), "with no log")
    j = json.loads(m.staunch(4, "converge", "--json", "--root", m.root))
    equal(j["summary"]["patched"], 1, "processes patched")
    image = one_image(m.cve(0, cve), t.pid)
    equal((image["state"], image["runs_version"]), ("hotpatched", pair[1]), "after converge")
    said = json.loads(m.staunch(0, "report", "--format", "openvex", "--root", m.root, "--state", m.state))
    equal({s["status"] for s in said["statements"]}, {"not_affected", "fixed"}, "the document")
    assert t.serves(), "the server does not answer"
    print(f"ok {PACKAGE} {pair[0]} to {pair[1]}, {cve}")
finally:
    m.close()
    shutil.rmtree(folder)
