# SPDX-License-Identifier: Apache-2.0
"""Load from outside the machine. Each client asks over and over, half of them on one connection that they keep, half on a
new one each time, and every request that gets no full and right answer is counted as lost."""

import os
import socket
import struct
import subprocess
import threading
import time


class Lost(Exception):
    """A request without its answer."""


class Http:
    def __init__(self, path="/", expect=b"ok"):
        self.path, self.expect = path, expect

    def open(self, s):
        pass

    def ask(self, s, last):
        end = b"Connection: close\r\n" if last else b""
        s.sendall(b"GET " + self.path.encode() + b" HTTP/1.1\r\nHost: vm\r\n" + end + b"\r\n")
        got = b""
        while b"\r\n\r\n" not in got:
            more = s.recv(65536)
            if not more:
                raise Lost("the connection ended before the answer" if not got else "half an answer")
            got += more
        head, _, body = got.partition(b"\r\n\r\n")
        length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n")
                       if line.lower().startswith(b"content-length:")), None)
        if not head.startswith(b"HTTP/1.1 200 ") or length is None:
            raise Lost(head.split(b"\r\n")[0].decode(errors="replace"))
        while len(body) < length:
            more = s.recv(65536)
            if not more:
                raise Lost("half an answer")
            body += more
        if self.expect not in body:
            raise Lost("another answer")
        return b"connection: close" not in head.lower()


class Redis:
    """Counts a key of its own up: a lost or a doubled write is seen."""

    def __init__(self):
        self.keys, self.lock, self.name = 0, threading.Lock(), os.urandom(8).hex().encode()

    def open(self, s):
        with self.lock:
            self.keys += 1
            s.key, s.value = b"%s:%d" % (self.name, self.keys), 0

    def ask(self, s, last):
        s.sendall(b"INCR " + s.key + b"\r\n")
        got = b""
        while not got.endswith(b"\r\n"):
            more = s.recv(4096)
            if not more:
                raise Lost("the connection ended before the answer")
            got += more
        s.value += 1
        if got != b":%d\r\n" % s.value:
            raise Lost(f"{got!r} for {s.value}")
        return True


class Postgres:
    """The simple query protocol, for a user who is trusted."""

    def __init__(self, user="rig", database="postgres"):
        self.start = b"user\0" + user.encode() + b"\0database\0" + database.encode() + b"\0\0"

    @staticmethod
    def _message(s):
        head = b""
        while len(head) < 5:
            more = s.recv(5 - len(head))
            if not more:
                raise Lost("the connection ended before the answer")
            head += more
        body, length = b"", struct.unpack("!I", head[1:])[0] - 4
        while len(body) < length:
            more = s.recv(length - len(body))
            if not more:
                raise Lost("half an answer")
            body += more
        if head[:1] == b"E":
            raise Lost(body.replace(b"\0", b" ").decode(errors="replace"))
        return head[:1], body

    def open(self, s):
        s.sendall(struct.pack("!II", len(self.start) + 8, 196608) + self.start)
        while self._message(s)[0] != b"Z":
            pass

    def ask(self, s, last):
        query = b"select count(*) from pg_class\0"
        s.sendall(b"Q" + struct.pack("!I", len(query) + 4) + query)
        rows = 0
        while True:
            kind, _ = self._message(s)
            rows += kind == b"D"
            if kind == b"Z":
                break
        if rows != 1:
            raise Lost("no row")
        if last:
            s.sendall(b"X" + struct.pack("!I", 4))
        return True


class Connection(socket.socket):
    """A socket on which a protocol may note something."""

    __slots__ = ("key", "value")


class Load:
    """Runs from start() to stop(); afterwards: done, lost (texts), longest_msec."""

    def __init__(self, port, protocol, clients=4):
        self.port, self.protocol = port, protocol
        self.done, self.lost, self.longest_msec = 0, [], 0.0
        self._lock, self._end = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i % 2 == 0,)) for i in range(clients)]

    def start(self):
        for t in self._threads:
            t.start()
        return self

    def _connect(self):
        s = Connection(socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(600)
        s.connect(("127.0.0.1", self.port))
        self.protocol.open(s)
        return s

    def _run(self, keep):
        s = None
        while not self._end.is_set():
            begun = time.monotonic()
            try:
                s = s or self._connect()
                stays = self.protocol.ask(s, not keep)
            except (OSError, Lost, ValueError) as e:
                stays = False
                with self._lock:
                    self.lost.append(str(e))
                self._end.wait(0.05)
            else:
                with self._lock:
                    self.done += 1
                    self.longest_msec = max(self.longest_msec, (time.monotonic() - begun) * 1e3)
            if s and not (keep and stays):
                s.close()
                s = None
        if s:
            s.close()

    def more(self, n):
        """Returns when n more requests were answered (or n lost)."""
        goal, bad = self.done + n, len(self.lost) + n
        while self.done < goal and len(self.lost) < bad:
            self._end.wait(0.02)

    def stop(self):
        self._end.set()
        for t in self._threads:
            t.join()
        return self


class Shell:
    """One session of ssh that stays, and is asked for an answer line by line; and new ones."""

    def __init__(self, port, key, folder):
        self.command = ["ssh", "-q", "-F", "none", "-i", key, "-p", str(port), "-o", "StrictHostKeyChecking=no",
                        "-o", f"UserKnownHostsFile={folder}/known_hosts", "-o", "BatchMode=yes", "root@127.0.0.1"]
        self.session = subprocess.Popen([*self.command, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)

    def ask(self, text):
        """Does the session that stays answer?"""
        try:
            self.session.stdin.write(text + "\n")
            self.session.stdin.flush()
            return self.session.stdout.readline() == text + "\n"
        except OSError:
            return False

    def fresh(self):
        """Can one log in?"""
        return subprocess.run([*self.command, "true"], stdin=subprocess.DEVNULL, capture_output=True,
                              check=False).returncode == 0

    def stop(self):
        self.session.kill()
        self.session.wait()
        self.session.stdin.close()
        self.session.stdout.close()
