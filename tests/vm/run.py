#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the packages in a virtual machine: real daemons as units of a real systemd, upgraded by apt. The last line is
"N passed, N failed[, N skipped]". Run by `make vm`; docs/vm.md says what is in it."""

import argparse
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "cases")]

import image  # noqa: E402
import rig  # noqa: E402

# In this order; each may leave a disk that later ones begin with.
CASES = ["install", "daemons", "upgrade", "downgrade", "power", "window", "rollback"]
STAGES = {"install": "installed", "daemons": "daemons"}  # what others begin with


def say(text):
    print(text, flush=True)


class Guest(rig.Machine):
    """A machine with apt, systemd and staunch."""

    def apt(self, text):
        # Rounds are the agent's matter; needrestart's look at all processes takes half a minute under emulation.
        return self.check(f"NEEDRESTART_SUSPEND=1 apt-get -q -y {text} 2>&1")

    def repository(self, *names):
        lines = "".join(f"deb [trusted=yes] file:/srv/repo/{n} ./\\n" for n in names)
        self.check(f"printf '{lines}' >/etc/apt/sources.list && apt-get -q update 2>&1")

    def active(self, unit):
        return self.run(f"systemctl is-active {unit}").out.strip() == "active"

    def pid(self, unit):
        return int(self.check(f"systemctl show -P MainPID {unit}"))

    def memory(self, unit):
        """What its cgroup is charged for, in MiB: all, then the kinds that memory.stat tells apart."""
        group = "/sys/fs/cgroup" + self.check(f"systemctl show -P ControlGroup {unit}").strip()
        stat = dict(line.split() for line in self.check(f"cat {group}/memory.stat").splitlines())
        sizes = {"current": self.check(f"cat {group}/memory.current"), **{k: stat[k] for k in ("anon", "file", "kernel")}}
        return {k: round(int(v) / 2**20, 1) for k, v in sizes.items()}

    def settle(self):
        """Boot is over."""
        self.run("systemctl is-system-running --wait")

    def json(self, command):
        """What a command of staunch says; its exit code tells something else than success."""
        r = self.run(command + " --json")
        try:
            return json.loads(r.out)
        except ValueError:
            raise rig.Failed(f"'{command} --json' ended with {r.rc}:\n{r.out[-1000:]}{r.err[-1000:]}") from None

    def patched(self):
        """(unit's processes') pid -> patches that are active."""
        found = {}
        for p in self.json("staunch status")["processes"]:
            active = [x for x in p["patches"] if x["state"] == "active"]
            if active:
                found[p["pid"]] = active
        return found

    def pending(self, unit):
        """reason codes of pending restarts."""
        return {r["image"]: r["reason"] for r in self.json("staunch list")["restarts"] if r["subject"] == unit}

    def events(self, since="today"):
        return [json.loads(line) for line in self.check(f"staunch events --json --since {since}").splitlines()]

    def round(self):
        """Has the agent do a round, and waits for its end."""
        self.check("python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect(\"/run/staunch/control\"); "
                   "s.sendall(b\"{\\\"op\\\": \\\"converge\\\"}\\n\"); print(s.makefile().readline())'")

    def follow(self):
        """Events from now on, for await_event()."""
        before = len(self.events())
        command = self.start("staunch events --follow --json --since today")
        for _, (kind, _) in zip(range(before), command.each()):
            if kind != "out":
                raise rig.Failed("'staunch events --follow' complains")
        return command

    @staticmethod
    def await_event(follow, wanted):
        """The first event for which `wanted` holds, and all before it."""
        seen = []
        for kind, line in follow.each():
            if kind == "out":
                seen.append(json.loads(line))
                if wanted(seen[-1]):
                    return seen[-1], seen
        raise rig.Failed(f"'staunch events --follow' ended with {follow.rc}")


class Bench:
    """What the cases have in common: the image, a folder, disks by name, and the count."""

    def __init__(self, base, folder, packages, accel):
        self.base, self.folder, self.packages, self.accel = base, folder, packages, accel
        self.passed = self.failed = self.skipped = self.hung = 0
        self.disks, self.running, self.figures = {}, [], {}

    def check(self, name, ok, detail=""):
        if ok:
            self.passed += 1
            say(f"  ok      {name}")
        else:
            self.failed += 1
            say(f"  FAILED  {name}")
            for line in str(detail).strip().splitlines()[-30:]:
                say(f"    | {line}")
        return ok

    def figure(self, name, value):
        self.figures[name] = value
        say(f"          {name}: {value}")

    def skip(self, name, reason):
        self.skipped += 1
        say(f"  skipped {name}: {reason}")

    def boot(self, disk, ports=(), **options):
        """From a copy of the disk of that name ("": the bare image)."""
        path = os.path.join(tempfile.mkdtemp(prefix="disk-", dir=self.folder), "disk.qcow2")
        copy = self.disks[disk].copy(path) if disk else rig.Disk(path, self.base.disk)
        return self.again(copy, ports, **options)

    def again(self, disk, ports=(), **options):
        """From this disk, as it was left; `options` of rig.Machine."""
        begun = time.monotonic()
        try:
            m = self._start(disk, ports, options)
        except rig.Hung as e:
            self.hung += 1
            say(f"  hung    {e}\n          booting it once more")
            m = self._start(disk, ports, options)
        m.disk = disk
        self.running.append(m)
        m.settle()
        self.figures.setdefault("boot_sec", round(time.monotonic() - begun, 1))
        return m

    def _start(self, disk, ports, options):
        folder = tempfile.mkdtemp(prefix="machine-", dir=self.folder)
        return Guest(self.base, disk, folder, self.packages, ports, self.accel, **options)

    def keep(self, machine, name):
        """Shuts it down; its disk is what `name` boots from."""
        machine.off()
        path = os.path.join(self.folder, name + ".qcow2")
        os.rename(machine.disk.path, path)
        self.disks[name] = rig.Disk(path)

    def clean(self):
        for m in self.running:
            if m.process.poll() is None:
                m.cut()
        self.running = []


def packages(folder, deb):
    """The built packages, and the same again under a higher version, as a tar file."""
    out = os.path.join(folder, "packages")
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(os.path.join(out, "next"))
    depends = set()
    for name in ("staunch", "staunch-agent"):
        found = [f for f in os.listdir(deb) if re.fullmatch(re.escape(name) + r"_[^_]*_amd64\.deb", f)]
        if len(found) != 1:
            raise image.Unavailable(f"{deb} has no package {name}: run 'make deb'")
        shutil.copy(os.path.join(deb, found[0]), out)
        text = image.run(["dpkg-deb", "-f", os.path.join(deb, found[0]), "Depends"])
        depends |= {re.split(r"[ (|]", d.strip())[0] for d in text.split(",")} - {"staunch"}
        tree = os.path.join(folder, "tree")
        image.run(["dpkg-deb", "-R", os.path.join(deb, found[0]), tree])
        with open(os.path.join(tree, "DEBIAN/control")) as f:
            control = f.read()
        version = re.search(r"^Version: (.*)$", control, re.M).group(1)
        with open(os.path.join(tree, "DEBIAN/control"), "w") as f:
            f.write(control.replace(f"Version: {version}\n", f"Version: {version}+next\n")
                    .replace(f"(= {version})", f"(= {version}+next)"))
        image.run(["dpkg-deb", "--root-owner-group", "-b", tree, os.path.join(out, "next")])
        shutil.rmtree(tree)
    tar = os.path.join(folder, "packages.tar")
    image.run(["tar", "-C", out, "-cf", tar, "."])
    return tar, sorted(depends)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", help="where 'make deb' has put the packages")
    parser.add_argument("--keep", metavar="FOLDER", help="leave disks and console logs here, and begin with disks that are here")
    parser.add_argument("only", nargs="*", help="CASE, or CASE.PART for one part of it alone; cases: " + " ".join(CASES))
    args = parser.parse_args()
    for name in args.only:
        if name.partition(".")[0] not in CASES:
            parser.error(f"no case is named '{name}'")
    begun = time.monotonic()
    folder = args.keep or tempfile.mkdtemp(prefix="staunch-vm-")
    os.makedirs(folder, exist_ok=True)
    bench = None
    try:
        tar, depends = packages(folder, os.path.join(args.build, "deb"))
        base = image.make(depends, say)
        accel = rig.accelerator(base)
        say(f"== the machine: {'kvm' if accel == 'kvm' else 'software emulation'}, kernel {base.release}")
        bench = Bench(base, folder, tar, accel)
        for name in STAGES.values():
            if args.keep and os.path.exists(os.path.join(folder, name + ".qcow2")):
                bench.disks[name] = rig.Disk(os.path.join(folder, name + ".qcow2"))
        wanting = set(STAGES.values()) - set(bench.disks)
        for name in CASES:
            mine = [o.partition(".")[2] for o in args.only if o.partition(".")[0] == name]
            if args.only and not mine and STAGES.get(name, "") not in wanting:
                continue
            case = importlib.import_module(name)
            for part in getattr(case, "PARTS", None) or [case.run]:
                if any(mine) and part.__name__ not in mine:
                    continue
                label = name if part.__name__ == "run" else f"{name}.{part.__name__}"
                say(f"== {label}")
                try:
                    part(bench)
                except (rig.Failed, rig.Gone, KeyError, subprocess.SubprocessError):
                    tails = "".join(m.tail() for m in bench.running if m.process.poll() is None)
                    bench.check(f"{label} goes on to its end", False, traceback.format_exc() + tails)
                finally:
                    bench.clean()
    except image.Unavailable as e:
        say(f"skipped: {e}")
        return 77
    finally:
        if bench:
            bench.clean()
        if not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(args.build, "vm"), exist_ok=True)
    with open(os.path.join(args.build, "vm", "result.json"), "w") as f:
        json.dump({"passed": bench.passed, "failed": bench.failed, "skipped": bench.skipped, "hung_boots": bench.hung,
                   "accelerator": accel, "seconds": round(time.monotonic() - begun), "figures": bench.figures}, f, indent=1)
    if bench.hung:
        say(f"{bench.hung} boots hung and were tried once more")
    line = f"{bench.passed} passed, {bench.failed} failed"
    say(line + (f", {bench.skipped} skipped" if bench.skipped else ""))
    return 1 if bench.failed or not bench.passed else 0


if __name__ == "__main__":
    sys.exit(main())
