# SPDX-License-Identifier: Apache-2.0
"""A small Debian machine below a temporary folder: packages that the test builds, installed by the real dpkg."""

import gzip
import hashlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from email.utils import formatdate

CC = os.environ.get("CC", "cc").split()
SHAPE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli/shape.py")
ENV = {**os.environ, "TZ": "Europe/Berlin", "LC_ALL": "C"}
SOURCE = r"""
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
__attribute__((weak)) int answer(int x) { return x + NEW; }
int main(int argc, char **argv) {
        char line[64];
        if (argc > 1 && (chroot(argv[1]) || chdir("/"))) /* as a daemon does */
                return 1;
        setvbuf(stdin, NULL, _IONBF, 0); /* nothing that was sent is lost over exec */
        while (poll(&(struct pollfd){ 0, POLLIN, 0 }, 1, -1) > 0 && fgets(line, sizeof(line), stdin)) {
                if (line[0] == 'e') /* starts itself again, from the file that it was started with */
                        execv("/proc/self/exe", argv);
                printf("%d\n", answer(atoi(line)));
                fflush(stdout);
        }
        return 0;
}
"""
# What each version of the source says: number, CVEs, seconds after 2026-01-01.
VERSIONS = [("1.0-1", ["CVE-2099-1000"], 0), ("1.0-2", ["CVE-2099-1001", "CVE-2099-1002"], 1000),
            ("1.0-3", ["cve-2099-1003"], 2000)]
EPOCH = 1767225600
PROGRAM = "/usr/sbin/evidence-target"


class Builds:
    """One build of the target a version, made once. `begin`: what it does before it reads anything."""

    def __init__(self, begin=""):
        self.dir = tempfile.mkdtemp(prefix="staunch-evidence-builds-")
        source = os.path.join(self.dir, "t.c")
        with open(source, "w") as f:
            f.write("#include <unistd.h>\nstatic volatile long base;\n__attribute__((noinline)) static void begin(long v) {" + begin +
                    " }\n" + SOURCE.replace("        setvbuf", "        begin(getpid());\n        setvbuf"))
        for i in range(1, 4):
            subprocess.run([*CC, "-O2", f"-DNEW={i}", "-Wl,--build-id", "-o", self.path(i), source], check=True)

        # Something that no patch can do: a thread's variable more.
        wide = os.path.join(self.dir, "w.c")
        with open(wide, "w") as f:
            f.write("__thread int extra[100] = {1};\n__attribute__((weak)) int more(int i) { return extra[i]++; }\n"
                    + SOURCE.replace("return x + NEW", "return x + more(x & 63)"))
        subprocess.run([*CC, "-O2", "-Wl,--build-id", "-o", self.path("wide"), wide], check=True)

    def path(self, i):
        return os.path.join(self.dir, f"v{i}")

    def close(self):
        shutil.rmtree(self.dir)


class Target:
    def __init__(self, *argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.pid = self.process.pid
        self.ask(0)

    def ask(self, x):
        self.process.stdin.write(f"{x}\n")
        return int(self.process.stdout.readline())

    def start_itself_again(self):
        self.process.stdin.write("e\n")
        self.process.stdin.flush()
        return self.ask(100)

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Machine:
    def __init__(self, staunch, builds, root=None):
        """`root`: "" is the machine's own, which has dpkg's database already."""
        self.staunch_program = staunch
        self.builds = builds
        self.dir = tempfile.mkdtemp(prefix="staunch-evidence-")
        self.root = os.path.join(self.dir, "root") if root is None else root
        self.state = os.path.join(self.dir, "state")
        self.targets = []
        self.program = PROGRAM
        self.scripts = []  # what the package has beside the program
        self.installed_sec = 0
        if not self.root:
            return
        for d in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"):
            os.makedirs(os.path.join(self.root, d))
        open(os.path.join(self.root, "var/lib/dpkg/status"), "w").close()

    def path(self, name):
        return self.root + name

    def make_deb(self, i, dated=True):
        """The package's version i, as a .deb."""
        tree = os.path.join(self.dir, f"deb-{i}")
        shutil.rmtree(tree, ignore_errors=True)
        program = tree + self.program
        doc = os.path.join(tree, "usr/share/doc/evidence-target")
        for d in (os.path.dirname(program), doc, os.path.join(tree, "DEBIAN")):
            os.makedirs(d)
        shutil.copy(self.builds.path(i), program)
        for script in self.scripts:
            os.makedirs(os.path.dirname(tree + script), exist_ok=True)
            with open(tree + script, "w") as f:
                f.write(f"{i}\n")
        text = "".join(f"evidence-source ({v}) stable; urgency=high\n\n  * Fix {', '.join(cves)}: a bound.\n\n"
                       f" -- A Maintainer <a@example.org>  {formatdate(EPOCH + sec)}\n\n"
                       for v, cves, sec in reversed(VERSIONS[:i]))
        with open(os.path.join(doc, "changelog.Debian.gz"), "wb") as f:
            f.write(gzip.compress(text.encode()))
        date = EPOCH + VERSIONS[i - 1][2] if dated else 1500000000 + i
        os.utime(program, (date, date))
        with open(os.path.join(tree, "DEBIAN/control"), "w") as f:
            f.write(f"Package: evidence-target\nVersion: {VERSIONS[i - 1][0]}\nArchitecture: amd64\n"
                    f"Source: evidence-source\nMaintainer: A <a@example.org>\nDescription: a target\n")
        with open(os.path.join(tree, "DEBIAN/md5sums"), "w") as f:
            for path in (self.program, "/usr/share/doc/evidence-target/changelog.Debian.gz"):
                f.write(hashlib.md5(open(tree + path, "rb").read()).hexdigest() + f"  {path[1:]}\n")
        deb = os.path.join(self.dir, f"evidence-target_{VERSIONS[i - 1][0]}_amd64.deb")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, deb], check=True,
                       stdout=subprocess.DEVNULL)
        return deb

    def install(self, i, dated=True, log=True):
        # The log tells seconds apart, and no less.
        while int(time.time()) == self.installed_sec:
            select.select([], [], [], 0.05)
        log_file = self.root + "/var/log/dpkg.log" if log else "/dev/null"
        subprocess.run(["dpkg", f"--root={self.root or '/'}", f"--log={log_file}", "-i", self.make_deb(i, dated)], check=True,
                       stdout=subprocess.DEVNULL, env=ENV)
        self.installed_sec = int(time.time())

    def target(self):
        t = Target(self.path(self.program))
        self.targets.append(t)
        return t

    def libraries(self):
        """Of the program, with the loader."""
        out = subprocess.run(["ldd", self.path(self.program)], capture_output=True, text=True, check=True).stdout
        return [word for word in out.split() if word.startswith("/")]

    def staunch(self, code, *args):
        r = subprocess.run([self.staunch_program, *args], capture_output=True, text=True, env=ENV)
        if r.returncode != code:
            raise AssertionError(f"staunch {' '.join(args)}: exit code {r.returncode}, expected {code}: "
                                 f"{r.stderr}{r.stdout}")
        if "--json" in args and code not in (1, 2):
            subprocess.run([sys.executable, SHAPE, args[0]], input=r.stdout, text=True, check=True)
        self.complaint = r.stderr
        return r.stdout

    def cve(self, code, *args):
        return json.loads(self.staunch(code, "cve", "--root", self.root, "--state", self.state, "--json", *args))

    def close(self):
        for t in self.targets:
            t.end()
        shutil.rmtree(self.dir)


def one_image(answer, pid):
    """The single image of the process in an answer about a single CVE."""
    images = [i for p in answer["cves"][0]["packages"] for i in p["images"] if i["pid"] == pid]
    assert len(images) == 1, answer
    return images[0]


def equal(have, want, what):
    if have != want:
        raise AssertionError(f"{what}: {have!r}, expected {want!r}")


def run(cases, make):
    failed = 0
    for case in cases:
        m = make()
        try:
            case(m)
            print(f"ok {case.__name__}", flush=True)
        except AssertionError as e:
            failed += 1
            print(f"FAILED: {case.__name__}: {e}", flush=True)
        finally:
            m.close()
    return failed
