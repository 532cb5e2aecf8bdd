# SPDX-License-Identifier: Apache-2.0
"""What every driver of running software is made of. A driver says which packages it upgrades, and
how to start, ask and check the software; starting, load, upgrading and ending are here.

A driver must hold in `request` one complete exchange (it raises when the answer is wrong), and in
`check` a fuller one that looks at state kept since `start`."""

import http.client
import os
import pwd
import shlex
import socket
import struct
import subprocess
import sys
import threading
import time

import archive
import process

WAIT_READY_SECONDS = 60


# The one of the system, which uses its shared libraries.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable


class NotRunnable(Exception):
    """The software cannot be run here; the text says why."""


def need(condition, text):
    if not condition:
        raise AssertionError(text)


class Live:
    name = None          # of the driver
    source = None        # Debian source package
    packages = ()        # what is upgraded: each has two versions in the archive
    also = ()            # what is unpacked beside it to run it: newest version
    forks = False        # processes come and go by design (one a connection)
    private = False      # wants a mount namespace of its own: /run, /etc/passwd
    workers = 2          # threads that send requests
    library_dirs = ()    # below the root, searched besides the usual ones

    def __init__(self, root, offered):
        self.root = os.path.realpath(root)
        self.offered = offered
        self.started = []        # Popen
        self.clients = set()     # pids of what `run` started
        self.births = threading.Lock()  # held while one starts and is not among them yet
        self.errors = []
        self.ok = self.failed = 0
        self.longest = 0.0
        self._stop = threading.Event()
        self._threads = []
        self.port = free_port()

    # What a driver writes.
    def prepare(self):
        """Configuration files, keys, data."""

    def start(self):
        raise NotImplementedError

    def request(self):
        raise NotImplementedError

    def check(self):
        self.request()

    def finish(self):
        """Before the processes are ended."""

    # Files
    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def directory(self, name, owner=None, mode=0o755):
        path = self.path(name)
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
        if owner:
            entry = pwd.getpwnam(owner)
            os.chown(path, entry.pw_uid, entry.pw_gid)
        return path

    def pairs(self):
        """[(old, new)] of its packages; NotRunnable when the archive has only one version."""
        out = [self.offered.pair(p) for p in self.packages]
        if not all(out):
            lacking = [p for p, pair in zip(self.packages, out) if not pair]
            raise NotRunnable(f"the archive has no two versions of {', '.join(lacking)}")
        return out

    def unpack(self):
        pairs = self.pairs()
        beside = [self.offered.versions(p)[-1] for p in self.also if self.offered.versions(p)]
        libraries = {}
        for p in [old for old, _ in pairs] + beside:
            for lib in self.offered.libraries(p, skip=set(self.packages) | set(self.also)):
                libraries[lib.name] = lib
        for deb in self.offered.fetch_all([*libraries.values(), *beside, *(old for old, _ in pairs)]):
            archive.unpack(deb, self.root)

    def upgrade(self):
        return sum(archive.upgrade(*self.offered.fetch_all([old, new]), self.root) for old, new in self.pairs())

    # Processes
    def environment(self):
        dirs = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib", *self.library_dirs]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("LD_", "PYTHON"))}
        env["LD_LIBRARY_PATH"] = ":".join(self.path(d) for d in dirs)
        env["LC_ALL"] = "C"
        return env

    def spawn(self, command, env=None, private=None, user=None, **kwargs):
        command = [str(c) for c in command]
        if private if private is not None else self.private:
            etc = self._private_etc()
            lines = ["mount -t tmpfs tmpfs /run", "mkdir -p /run/lock /run/sshd /run/user"]
            lines += [f"mount --bind {shlex.quote(p)} /etc/{name}" for name, p in etc.items()]
            for what, at in self.overlays:
                lines.append(f"mount -t overlay -o lowerdir={shlex.quote(self.path(what))}:/{at} overlay /{at}")
            if self.programs:
                over = self.directory("programs")
                for p in self.programs:
                    if not os.path.lexists(f"{over}/{os.path.basename(p)}"):
                        os.symlink(self.path(p), f"{over}/{os.path.basename(p)}")
                lines.append(f"mount -t overlay -o lowerdir={shlex.quote(over)}:/usr/bin overlay /usr/bin")
            lines.append("exec " + " ".join(shlex.quote(c) for c in command))
            command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join(lines)]
        if user:
            command = ["setpriv", "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid),
                       "--clear-groups", "--", *command]
        full = dict(self.environment(), **(env or {}))
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        log = open(self.path("log.txt"), "ab")
        kwargs.setdefault("stdout", log)
        kwargs.setdefault("stderr", log)
        # A private library path must not reach unshare, setpriv and sh themselves.
        if command[0] in ("unshare", "setpriv"):
            library_path = full.pop("LD_LIBRARY_PATH")
            if command[0] == "unshare":
                command[-1] = command[-1].replace("exec ", f"export LD_LIBRARY_PATH={shlex.quote(library_path)}\nexec ", 1)
            else:
                at = command.index("--") + 1
                command[at:at] = ["env", f"LD_LIBRARY_PATH={library_path}"]
        child = subprocess.Popen(command, env=full, cwd=self.root, start_new_session=True, **kwargs)
        log.close()
        self.started.append(child)
        return child

    users = ()     # private: users that must exist
    programs = ()  # private: programs below the root that are looked for in /usr/bin
    overlays = ()  # private: (directory below the root, what it is laid over)

    def _private_etc(self):
        passwd, group = open("/etc/passwd").read(), open("/etc/group").read()
        for i, user in enumerate(self.users):
            if f"\n{user}:" not in passwd:
                passwd += f"{user}:x:{64100 + i}:{64100 + i}::/nonexistent:/usr/sbin/nologin\n"
            if f"\n{user}:" not in group:
                group += f"{user}:x:{64100 + i}:\n"
        return {"passwd": self.write("etc-passwd", passwd), "group": self.write("etc-group", group)}

    def run(self, command, **kwargs):
        """A client or a tool of the software, with its libraries."""
        kwargs.setdefault("capture_output", True)
        timeout = kwargs.pop("timeout", None)
        if kwargs.pop("capture_output"):
            kwargs.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with self.births:
            child = subprocess.Popen([str(c) for c in command], env=self.environment(), cwd=self.root, text=True,
                                     errors="replace", **kwargs)
            self.clients.add(child.pid)
        try:
            out, err = child.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise
        finally:
            self.clients.discard(child.pid)
        if child.returncode:
            text = ((err or "") + (out or "")).strip()
            raise AssertionError(f"{os.path.basename(str(command[0]))}: exit {child.returncode}: {text[-400:]}")
        return out

    def pids(self):
        """Of ours, those that run or map something below the root."""
        mine = []
        for child in self.started:
            mine += process.tree(child.pid)
        with self.births:
            all_, others = process.tree(os.getpid()), {p for c in list(self.clients) for p in process.tree(c)} | {os.getpid()}
        for pid in all_:
            if pid not in mine and pid not in others:
                mine.append(pid)
        return [p for p in mine if process.images(p, self.root)]

    def steady(self):
        """The processes that must live from start to stop."""
        if self.forks:
            return [c.pid for c in self.started if process.alive(c.pid)]
        return self.pids()

    def wait_ready(self):
        until = time.monotonic() + WAIT_READY_SECONDS
        while True:
            dead = [c for c in self.started if c.poll() is not None]
            if dead:
                raise NotRunnable(f"ended with {dead[0].returncode} at the start: {self.log_tail()}")
            try:
                self.request()
                return
            except Exception as e:  # not serving yet
                if time.monotonic() > until:
                    raise NotRunnable(f"not serving after {WAIT_READY_SECONDS} s: {e!r}; {self.log_tail()}") from e
                time.sleep(0.05)

    def log_tail(self):
        try:
            with open(self.path("log.txt"), errors="replace") as f:
                return " | ".join(f.read().strip().splitlines()[-4:])[-600:]
        except OSError:
            return ""

    # Load
    def begin_load(self):
        lock = threading.Lock()

        def work():
            while not self._stop.is_set():
                begun = time.monotonic()
                try:
                    self.request()
                    good = True
                except Exception as e:
                    good = False
                    with lock:
                        if len(self.errors) < 20:
                            self.errors.append(repr(e)[:300])
                took = time.monotonic() - begun
                with lock:
                    if good:
                        self.ok += 1
                    else:
                        self.failed += 1
                    self.longest = max(self.longest, took)
                if not good:
                    time.sleep(0.05)
                else:
                    time.sleep(0.002)

        self._threads = [threading.Thread(target=work, daemon=True) for _ in range(self.workers)]
        for t in self._threads:
            t.start()

    def end_load(self):
        self._stop.set()
        for t in self._threads:
            t.join(30)

    def wait_requests(self, n):
        """Until n more requests were answered, or some failed, or nothing moves."""
        want, failed, until = self.ok + n, self.failed, time.monotonic() + 20
        while self.ok < want and self.failed == failed and time.monotonic() < until:
            time.sleep(0.01)

    def stop(self):
        try:
            self.end_load()
            self.finish()
        except Exception:
            pass
        pids = []
        for child in self.started:
            pids += process.tree(child.pid)
        process.end(pids)
        # What left its parent is ours by now.
        process.end([p for p in process.tree(os.getpid()) if p != os.getpid() and process.images(p, self.root)])
        for child in self.started:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def exchange(port, data, until=None, timeout=10, size=None):
    """Sends, and reads until a marker, a size, or the end."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as s:
        s.sendall(data)
        out = b""
        while True:
            got = s.recv(65536)
            if not got:
                return out
            out += got
            if (until and until in out) or (size and len(out) >= size):
                return out


def http_get(port, path="/", headers=None, timeout=10):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        c.request("GET", path, headers=headers or {})
        r = c.getresponse()
        return r.status, r.read()
    finally:
        c.close()


def dns_query(port, name, kind=1, tcp=False, timeout=5):
    """Returns (rcode, answers, raw)."""
    question = b"".join(bytes([len(x)]) + x.encode() for x in name.split(".") if x) + b"\0"
    message = struct.pack(">HHHHHH", 0x5374, 0x0100, 1, 0, 0, 0) + question + struct.pack(">HH", kind, 1)
    if tcp:
        out = exchange(port, struct.pack(">H", len(message)) + message, size=14, timeout=timeout)[2:]
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            s.sendto(message, ("127.0.0.1", port))
            out = s.recv(65535)
    need(out[:2] == message[:2], "an answer to another question")
    return out[3] & 15, struct.unpack(">H", out[6:8])[0], out


class Host(Live):
    """A library inside a long-running program: python3 runs `script`, which defines answer(line) and
    is asked line by line; `questions` are pairs of a line and the answer it must give."""
    script = ""
    questions = ()
    workers = 1

    def start(self):
        self.write("host.py", HOST % {"root": self.root} + self.script + HOST_LOOP)
        self.host = self.spawn([PYTHON, "-I", self.path("host.py")], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
        self._lock = threading.Lock()
        self._turn = 0

    def ask(self, line):
        with self._lock:
            self.host.stdin.write(line.encode() + b"\n")
            self.host.stdin.flush()
            answer = self.host.stdout.readline().decode().rstrip("\n")
        need(answer, "no answer: the program has ended")
        return answer

    def request(self):
        question, expected = self.questions[self._turn % len(self.questions)]
        self._turn += 1
        answer = self.ask(question)
        need(answer == expected, f"{question}: got {answer!r}, not {expected!r}")

    def check(self):
        for _ in self.questions:
            self.request()

    def finish(self):
        self.host.stdin.close()


HOST = """import ctypes, os, sys
ROOT = %(root)r
LIB = ROOT + "/usr/lib/x86_64-linux-gnu/"
def lib(name):
    return ctypes.CDLL(LIB + name)
"""
HOST_LOOP = """
for line in sys.stdin:
    try:
        said = answer(line.rstrip("\\n"))
    except Exception as e:
        said = "error: %r" % (e,)
    sys.stdout.write(str(said).replace("\\n", " ") + "\\n")
    sys.stdout.flush()
"""
