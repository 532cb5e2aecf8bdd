#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""host.py STAUNCH: CVEs of what runs from the machine's own root: daemons in a chroot, jails, and the commands of the guide."""

import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import ownroot
from machine import PROGRAM, Builds, Machine, Target, equal, run

STAUNCH = os.path.abspath(sys.argv[1])
ownroot.enter(os.path.dirname(os.path.dirname(HERE)), os.path.dirname(os.path.dirname(os.path.dirname(STAUNCH))))
if not shutil.which("dpkg"):
    print("needs dpkg")
    sys.exit(77)


class Host(Machine):
    """The machine itself: no command is told of a root or a state."""

    def __init__(self, builds):
        super().__init__(STAUNCH, builds, root="")

    def cve(self, code, *args):
        return json.loads(self.staunch(code, "cve", "--json", *args))

    def start(self, *argv):
        t = Target(*argv)
        self.targets.append(t)
        return t

    def close(self):
        super().close()
        subprocess.run(["dpkg", "--log=/dev/null", "--purge", "evidence-target"], check=True, stdout=subprocess.DEVNULL)


def states(answer, cve):
    """pid -> what is said of it."""
    return {i["pid"]: (i["state"], i["version"]) for c in answer["cves"] if c["cve"] == cve
            for p in c["packages"] for i in p["images"]}


def daemon_in_a_chroot(m):
    """Its image is the host's; that of a process which was executed in another root folder is not."""
    m.install(1)
    empty, jail = os.path.join(m.dir, "empty"), os.path.join(m.dir, "jail")
    os.mkdir(empty)
    for path in [PROGRAM, *m.libraries()]:
        os.makedirs(os.path.dirname(jail + path), exist_ok=True)
        shutil.copy(path, jail + path)
    bound = os.path.join(m.dir, "bound")
    for d in ("usr", "lib64"):
        os.makedirs(f"{bound}/{d}")
        subprocess.run(["mount", "--bind", f"/{d}", f"{bound}/{d}"], check=True)
    os.symlink("usr/lib", bound + "/lib")
    own = ["unshare", "--mount", "--propagation", "private"]
    try:
        ours = {"in our root": m.start(PROGRAM), "in a chroot": m.start(PROGRAM, empty),
                "with mounts of its own": m.start(*own, PROGRAM),
                "with mounts of its own, in a chroot": m.start(*own, PROGRAM, empty),
                "in a root folder that our folders are mounted in": m.start("chroot", bound, PROGRAM)}
        jailed = {"in a jail": m.start("chroot", jail, PROGRAM),
                  "in a jail with mounts of its own": m.start(*own, "chroot", jail, PROGRAM)}
        said = states(m.cve(0, "CVE-2099-1000"), "CVE-2099-1000")
        for where, t in ours.items():
            equal(said.get(t.pid), ("current", "1.0-1"), "before the upgrade, " + where)
        m.install(2)
        answer = m.cve(3, "CVE-2099-1001")
        said = states(answer, "CVE-2099-1001")
        for where, t in ours.items():
            equal(said.get(t.pid), ("exposed-in-memory", "1.0-1"), "after the upgrade, " + where)
        for where, t in jailed.items():
            equal(said.get(t.pid), None, where)
        assert answer["images_elsewhere"] >= 2, answer["images_elsewhere"]
        m.staunch(4, "converge", "--pid", ",".join(str(t.pid) for t in ours.values()))
        said = states(m.cve(0, "CVE-2099-1001"), "CVE-2099-1001")
        for where, t in ours.items():
            equal(t.ask(100), 102, "the new code, " + where)
            equal(said.get(t.pid), ("hotpatched", "1.0-1"), "after the patch, " + where)
    finally:
        for t in m.targets:
            t.end()
        m.targets = []
        for d in ("usr", "lib64"):
            subprocess.run(["umount", f"{bound}/{d}"], check=True)


def reports_as_the_guide_has_them(m):
    with open(os.path.join(HERE, "../../docs/guide.md")) as f:
        guide = f.read()
    for command in ("staunch report --format openvex", "staunch cve`"):
        assert command in guide, command
    m.install(1)
    t = m.target()
    m.install(2)
    document = json.loads(m.staunch(0, "report", "--format", "openvex"))
    said = {(s["vulnerability"]["name"], p["@id"]): s["status"] for s in document["statements"] for p in s["products"]}
    product = "pkg:deb/debian/evidence-target@{}?arch=amd64"
    equal((said["CVE-2099-1001", product.format("1.0-1")], said["CVE-2099-1001", product.format("1.0-2")]),
          ("affected", "fixed"), "the document")
    equal(states(json.loads(m.staunch(0, "report", "--format", "json")), "CVE-2099-1001")[t.pid][0], "exposed-in-memory",
          "the report as JSON")
    for arguments in (["--format", "table"], []):
        row = [line for line in m.staunch(0, "report", *arguments).splitlines() if "CVE-2099-1001" in line]
        assert len(row) == 1 and "exposed-in-memory" in row[0], row
    assert "CVE-2099-1001" in m.staunch(3, "cve")


builds = Builds()
try:
    failed = run([daemon_in_a_chroot, reports_as_the_guide_has_them], lambda: Host(builds))
finally:
    builds.close()
sys.exit(1 if failed else 0)
