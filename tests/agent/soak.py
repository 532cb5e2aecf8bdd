#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""soak.py STAUNCHD SERVER.C STORM.C [--minutes N] [--rate N]: the agent under a storm of process starts, a probe each 100 ms, and
upgrades and downgrades one after another. Its memory (PSS) and open files at the end are held against those after the warm-up.
Without --minutes as many rounds as show a leak of some KiB a round."""

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from machine import CC, Machine, equal

NAME = f"soak{os.getpid()}"
WARM, SHORT = 20, 40  # rounds: of the warm-up (a series is full after 200 results), and of a short run
GROWTH_KIB = 256  # what all processes together may have grown by: pages that the allocator and SQLite keep
LONG, PROBES = 25, 110  # in each so manieth round the patch stays for so many probes: until it is judged


class Server:
    """A process of the machine; what it prints about probes is counted."""

    def __init__(self, path):
        self.process = subprocess.Popen([path], stdout=subprocess.PIPE, text=True, bufsize=1)
        self.pid = self.process.pid
        self.port = int(self.process.stdout.readline())
        self.probes, self.said = 0, threading.Condition()
        self.thread = threading.Thread(target=self.count, daemon=True)
        self.thread.start()

    def count(self):
        for _ in self.process.stdout:
            with self.said:
                self.probes += 1
                self.said.notify_all()

    def probed(self, n):
        """Waits for so many probes more."""
        with self.said:
            want = self.probes + n
            self.said.wait_for(lambda: self.probes >= want)

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()


class Soaked(Machine):
    """Its file of events grows long: what was read is not read again."""

    def start(self):
        self.read_to, self.rest, self.pending = 0, "", []
        super().start()

    def await_event(self, kind, **fields):
        while True:
            while self.pending:
                e = self.pending.pop(0)
                if e["kind"] in ("patch-failed", "helper-failed", "watch-lost"):
                    raise AssertionError(f"awaited {kind}: {e}")
                if e["kind"] == kind and all(str(e["fields"].get("STAUNCH_" + k.upper())) == str(v)
                                             for k, v in fields.items()):
                    return e
            if self.agent.poll() is not None:
                raise AssertionError(f"the agent ended ({self.agent.returncode}) before '{kind}'")
            if os.path.exists(self.events_file):
                with open(self.events_file) as f:
                    f.seek(self.read_to)
                    text = self.rest + f.read()
                    self.read_to = f.tell()
                *lines, self.rest = text.split("\n")
                self.pending = [json.loads(line) for line in lines]
            if not self.pending:
                select.select([], [], [], 0.02)

    def fresh(self, version, name):
        """Installs the build with a build-id that nobody has seen, so that the vault has to compare."""
        with open(self.builds[version], "rb") as f:
            data = f.read()
        at = data.index(b"\x14\0\0\0\x03\0\0\0GNU\0") + 12
        path = os.path.join(self.root, name)
        with open(path + ".new", "wb") as f:
            f.write(data[:at] + os.urandom(20) + data[at + 20:])
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)

    def processes(self):
        """pid -> name, of the agent and what it started."""
        found, names = {self.agent.pid}, {}
        listed = subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True).stdout.splitlines()
        for pid, parent, comm in [line.split(None, 2) for line in listed] * 3:
            if int(pid) == self.agent.pid or int(parent) in found:
                found.add(int(pid))
                names[int(pid)] = comm
        return names

    def measure(self, base):
        """KiB and open files of each process, at a moment at which there are only those of `base`."""
        while True:
            equal(self.ask("converge")["ok"], True, "a round")
            if base is None or self.processes() == base:
                try:
                    have = {pid: (*memory(pid), len(os.listdir(f"/proc/{pid}/fd"))) for pid in self.processes()}
                except (FileNotFoundError, ProcessLookupError):
                    continue
                # Nor was one begun meanwhile: a fork shares its parent's pages, which then count by half.
                if base is None or (set(have) == set(base) and self.processes() == base):
                    return have


def memory(pid):
    """KiB: all of it (PSS), and what is its own doing (of that, anonymous memory): the rest is pages of files, of which its
    share changes with who else maps them."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in f if line.startswith("Pss")}
    return sizes["Pss"], sizes["Pss_Anon"]


def settled(m, base):
    """The least of some measurements: something may be open for a moment."""
    several = [m.measure(base) for _ in range(3)]
    return {pid: tuple(min(x[pid][i] for x in several) for i in range(3)) for pid in base}


def one_round(m, server, number):
    m.install("1", "other")
    other = Server(os.path.join(m.root, "other"))
    m.fresh("2", "other")
    m.wake()
    m.await_event("patch-installed", pid=other.pid)
    m.install("2")
    m.wake()
    m.await_event("patch-installed", pid=server.pid)
    server.probed(3 if number % LONG else PROBES)
    m.install("1")
    m.wake()
    m.await_event("patch-reverted", pid=server.pid)
    other.end()


def say(m, begun, number, have):
    names = m.processes()
    parts = ", ".join(f"{names.get(pid, '?')} {all_of_it} ({own}) KiB, {fds} files"
                      for pid, (all_of_it, own, fds) in sorted(have.items()))
    print(f"{time.monotonic() - begun:7.0f} s  round {number:5}  {sum(x[0] for x in have.values())} KiB, "
          f"{sum(x[1] for x in have.values())} anonymous: {parts}", flush=True)


def soak(m, args, storm):
    # Other processes are not sampled: each name that is new on the machine would take its series (9 KiB, 512 of them at most).
    m.configure(f"""
[health]
automatic_rollback = false
sample_interval = "1h"
[[probe]]
process = "{NAME}"
name = "answer"
http = "http://127.0.0.1:{m.server.port}/probe"
interval = "100ms"
timeout = "5s"
""")
    m.start()
    m.server.probed(3)
    m.storm = subprocess.Popen([storm, str(args.rate), "1000000", os.path.join(m.root, "short")])
    begun, number = time.monotonic(), 0
    for number in range(1, WARM + 1):
        one_round(m, m.server, number)
    m.server.probed(1)
    base = m.processes()
    while len(base) != len(m.measure(None)) or base != m.processes():
        base = m.processes()  # a round was under way
    first = last = settled(m, base)
    say(m, begun, number, first)
    told, grown = time.monotonic(), 0
    # What the allocator takes once, on a busy machine after the warm-up, it does not take again: a leak goes on.
    for again in range(2):
        since = number
        while time.monotonic() < begun + args.minutes * 60 if args.minutes and not again else number < since + SHORT:
            number += 1
            one_round(m, m.server, number)
            if time.monotonic() > told + 60:
                told = time.monotonic()
                last = m.measure(base)
                say(m, begun, number, last)
        last = settled(m, base)
        say(m, begun, number, last)
        equal({pid: x[2] for pid, x in last.items()}, {pid: x[2] for pid, x in first.items()}, "open files")
        grown = sum(x[1] for x in last.values()) - sum(x[1] for x in first.values())
        print(f"grown by {grown} KiB in {number - since} rounds")
        if grown <= GROWTH_KIB:
            break
        first = last
    if grown > GROWTH_KIB:
        raise AssertionError(f"its memory goes on growing: by {grown} KiB in the last {SHORT} rounds")
    equal(m.storm.poll(), None, "the storm")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("staunchd")
    parser.add_argument("server")
    parser.add_argument("storm")
    parser.add_argument("--minutes", type=float, help="so long; without, a short run")
    parser.add_argument("--rate", type=int, default=50, help="processes started a second")
    args = parser.parse_args()
    if os.geteuid() != 0:
        print("only root may follow process starts")
        return 77
    folder = tempfile.mkdtemp(prefix="staunch-soak-builds-")
    m = None
    try:
        builds = {n: os.path.join(folder, n) for n in ("1", "2", "short", "storm")}
        for n in ("1", "2"):
            subprocess.run([*CC, "-O2", f"-DBUILD={n}", "-Wl,--build-id", "-o", builds[n], args.server], check=True)
        subprocess.run([*CC, "-O2", "-x", "c", "-o", builds["short"], "-"], input="int main(void) { return 0; }\n", text=True,
                       check=True)
        subprocess.run([*CC, "-O2", "-o", builds["storm"], args.storm], check=True)
        builds[1] = builds["1"]
        m = Soaked(args.staunchd, builds, name=NAME)
        m.storm = None
        m.install("short", "short")
        m.server = Server(m.program)
        m.targets.append(m.server)
        soak(m, args, builds["storm"])
        print("ok")
        return 0
    except AssertionError as e:
        print(f"FAILED: {e}")
        return 1
    finally:
        if m:
            if m.storm:
                m.storm.terminate()
                m.storm.wait()
            m.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
