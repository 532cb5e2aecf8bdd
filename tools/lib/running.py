# SPDX-License-Identifier: Apache-2.0
"""Which files of a package run for long: the shared objects, and the programs that its units and init scripts
name."""

import os
import re
import subprocess

LIBRARIES = ("libs", "oldlibs", "httpd", "web")
SERVICES = ("lib/systemd/system/*.service", "usr/lib/systemd/system/*.service", "lib/systemd/user/*.service",
            "usr/lib/systemd/user/*.service", "etc/init.d/*")
PROGRAM = re.compile(r"(?<![\w.$}])/(?:usr/)?(?:s?bin|lib|libexec)/[\w./+:-]+")
NAME = re.compile(r"^(?:DAEMON|NAME|PROG|BINARY)=[\"']?([\w.+-]+)[\"']?$", re.M)


class Services:
    """What the units and init scripts of one package name."""

    def __init__(self, deb):
        tree = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        found = subprocess.run(["tar", "-xO", "--wildcards", *("./" + s for s in SERVICES)], stdin=tree.stdout,
                               capture_output=True, text=True, errors="replace")
        tree.stdout.close()
        tree.wait()
        self.any = bool(found.stdout)
        self.programs = {os.path.basename(p) for p in PROGRAM.findall(found.stdout)} | set(NAME.findall(found.stdout))

    def follow_links(self, deb):
        """redis-server is a symbolic link to the program that has another name."""
        listed = subprocess.run(["dpkg-deb", "-c", deb], capture_output=True, text=True, errors="replace").stdout
        for line in listed.splitlines():
            path, _, to = line.partition(" -> ")
            if to and os.path.basename(path) in self.programs:
                self.programs.add(os.path.basename(to))

    def runs(self, path):
        return os.path.basename(path) in self.programs


def is_shared(path):
    return re.search(r"\.so(\.|$)", os.path.basename(path)) is not None


def mark(rows, debs):
    """Sets `running` of each row: {source, package, section, file}. debs: {source: [files of its packages]}."""
    of_source = {}
    for source in {r["source"] for r in rows}:
        services = [Services(deb) for deb in debs[source]]
        if any(s.any for s in services):
            for x in services[1:]:
                services[0].programs |= x.programs
                services[0].any |= x.any
            for deb in debs[source]:
                services[0].follow_links(deb)
        of_source[source] = services[0]
    for r in rows:
        services = of_source[r["source"]]
        r["running"] = services.any or r["section"] in LIBRARIES if is_shared(r["file"]) else services.runs(r["file"])


def share(rows):
    """Of the source packages with files that run: how many, and of how many all those are hotpatched."""
    by = {}
    for r in rows:
        if r["running"]:
            by.setdefault(r["source"], []).append(r["verdict"] == "hotpatch")
    good = sum(1 for v in by.values() if all(v))
    files = [x for v in by.values() for x in v]
    return {"sources": len(by), "sources_hotpatchable": good, "files": len(files), "files_hotpatchable": sum(files),
            "of_100": round(100 * good / len(by)) if by else None}
