# SPDX-License-Identifier: Apache-2.0
"""What the agent's tests have in common: programs that they compile, a machine in a folder with one program and an agent that
looks after it, and the run of cases on such machines."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from told import told_of_processes

CC = os.environ.get("CC", "cc").split()


def only_root():
    if os.geteuid() != 0:
        print("only root may follow process starts")
        sys.exit(77)


class Builds(dict):
    """Programs by their names, in a folder that is gone after the `with`."""

    def __init__(self):
        super().__init__()
        self.dir = tempfile.mkdtemp(prefix="staunch-agent-builds-")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def compile(self, name, source, *flags):
        """`source`: a file, or the text itself."""
        self[name] = os.path.join(self.dir, str(name))
        if "\n" in source:
            text, source = source, self[name] + ".c"
            with open(source, "w") as f:
                f.write(text)
        subprocess.run([*CC, "-O2", "-Wl,--build-id", "-o", self[name], source, *flags], check=True)


def run(cases, names, make, told=()):
    """Runs those of the cases that are named (none: all), each on a machine that `make` makes. Those of `told` need to be told of
    processes' starts or ends; without them the test counts as skipped, when none of the others failed. Returns the exit code."""
    failed, left = 0, []
    for case in (c for c in cases if not names or c.__name__ in names):
        if case in told and not told_of_processes():
            left.append(case.__name__)
            continue
        m = make()
        try:
            case(m)
            print(f"ok {case.__name__}", flush=True)
        except AssertionError as e:
            failed += 1
            print(f"FAILED: {case.__name__}: {e}", flush=True)
            for name in ("log", "events.jsonl"):
                path = os.path.join(m.dir, name)
                if os.path.exists(path):
                    with open(path) as f:
                        print("".join("  | " + line for line in f.read().splitlines(True)[-12:]), flush=True)
        finally:
            m.close()
    if left:
        print("a container is told of no process's start or end; without that were not run: " + ", ".join(left), flush=True)
    return 1 if failed else 77 if left else 0


class Target:
    """A process that answers a number a line. `fd`: the image to run; else the file at `path`, or the command that it is."""

    def __init__(self, path, fd=None, user=None):
        command = [path] if isinstance(path, str) else path
        self.process = subprocess.Popen(command if fd is None else [f"/proc/self/fd/{fd}"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1,
                                        pass_fds=[] if fd is None else [fd], user=user)
        self.pid = self.process.pid
        assert self.ask(0) is not None

    def ask(self, x):
        try:
            self.process.stdin.write(f"{x}\n")
            line = self.process.stdout.readline()
        except BrokenPipeError:
            return None
        return int(line) if line else None

    def end(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Machine:
    """A root folder with one program, and an agent that looks after it."""

    def __init__(self, staunchd, builds, config="", name="target"):
        self.staunchd, self.builds, self.name = staunchd, builds, name
        self.dir = tempfile.mkdtemp(prefix="staunch-agent-")
        self.root = os.path.join(self.dir, "root")
        self.program = os.path.join(self.root, name)
        self.events_file = os.path.join(self.dir, "events.jsonl")
        self.config = os.path.join(self.dir, "staunch.toml")
        os.mkdir(self.root)
        self.configure(config)
        self.agent = None
        self.before = []  # a command that starts the agent
        self.targets = []
        self.seen = 0
        self.install(1)

    def configure(self, text):
        with open(self.config, "w") as f:
            f.write(text)

    def install(self, version, name=None):
        """Replaces the program, or another file, as a package manager does."""
        path = os.path.join(self.root, name or self.name)
        shutil.copy(self.builds[version], path + ".new")
        os.rename(path + ".new", path)

    def wake(self):
        os.utime(os.path.join(self.dir, "run", "wake"))

    def start(self):
        self.log = open(os.path.join(self.dir, "log"), "a")
        self.agent = subprocess.Popen(
            [*self.before, self.staunchd, "--config", self.config, "--state", os.path.join(self.dir, "state"), "--runtime",
             os.path.join(self.dir, "run"), "--events", self.events_file, "--root", self.root],
            stderr=self.log)
        self.await_event("agent-started")

    def stop(self, sig=signal.SIGTERM):
        self.agent.send_signal(sig)
        code = self.agent.wait()
        self.log.close()
        self.agent = None
        return code

    def target(self, fd=None, user=None):
        t = Target(self.program, fd, user)
        self.targets.append(t)
        return t

    def ask(self, op):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(self.dir, "run", "control"))
            s.sendall(json.dumps({"op": op}).encode() + b"\n")
            return json.loads(s.makefile().readline())

    def await_event(self, kind, **fields):
        """The next event of this kind after those that were awaited before."""
        while True:
            try:
                lines = open(self.events_file).read().splitlines(True)
            except FileNotFoundError:
                lines = []
            for i in range(self.seen, len(lines)):
                if not lines[i].endswith("\n"):
                    break
                e = json.loads(lines[i])
                if e["kind"] == kind and all(str(e["fields"].get("STAUNCH_" + k.upper())) == str(v)
                                             for k, v in fields.items()):
                    self.seen = i + 1
                    return e
            if self.agent.poll() is not None:
                raise AssertionError(f"the agent ended ({self.agent.returncode}) before '{kind}'")
            # New lines are awaited on the file's folder; the time is only how often the agent's life is checked.
            wait(self.dir)

    def child(self, name):
        """The pid of the agent's process of this name."""
        listed = subprocess.run(["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, text=True).stdout.splitlines()
        ours, pids = {self.agent.pid}, {}
        for pid, parent, comm in [line.split(None, 2) for line in listed] * 2:  # a child's child
            if int(parent) in ours:
                ours.add(int(pid))
                pids[comm] = int(pid)
        return pids[name]

    def kinds(self):
        return [json.loads(line)["kind"] for line in open(self.events_file)]

    def close(self):
        if self.agent:
            self.stop()
        for t in self.targets:
            t.end()
        shutil.rmtree(self.dir)


# Waits until something in the folder is written, or a second has passed.
WAIT = """
import ctypes, os, select, sys
libc = ctypes.CDLL(None)
fd = libc.inotify_init()
libc.inotify_add_watch(fd, sys.argv[1].encode(), 0x2 | 0x100)
select.select([fd], [], [], 0.2)
"""


def wait(folder):
    subprocess.run([sys.executable, "-c", WAIT, folder], check=False)


def equal(have, want, what):
    if have != want:
        raise AssertionError(f"{what}: {have!r}, expected {want!r}")
