# SPDX-License-Identifier: Apache-2.0
import socket

from common import Live, need


class Redis(Live):
    name = "redis"
    source = "redis"
    packages = ("redis-tools", "redis-server")
    counter = 0

    def prepare(self):
        self.directory("data")

    def start(self):
        self.spawn([self.path("usr/bin/redis-server"), "--port", self.port, "--bind", "127.0.0.1", "--dir",
                    self.path("data"), "--save", "", "--appendonly", "yes"])

    def command(self, *words):
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            s.sendall(f"*{len(words)}\r\n".encode() + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(lambda w: str(w).encode(), words)))
            return s.makefile("rb").readline().rstrip()

    def request(self):
        need(self.command("SET", "key", "value") == b"+OK", "SET")
        need(self.command("LPUSH", "list", "x").startswith(b":"), "LPUSH")
        need(self.command("LTRIM", "list", 0, 100) == b"+OK", "LTRIM")
        need(self.command("HSET", "hash", "a", "1").startswith(b":"), "HSET")
        need(self.command("ZADD", "z", 1.5, "m").startswith(b":"), "ZADD")
        need(self.command("EVAL", "return redis.call('GET', KEYS[1])", 1, "key") == b"$5", "EVAL")

    def check(self):
        self.request()
        need(self.command("GET", "key") == b"$5", "GET")
        self.counter += 1
        need(self.command("INCR", "checks") == b":%d" % self.counter, "a counter was lost")
        need(self.command("XADD", "stream", "*", "f", "v").startswith(b"$"), "XADD")
        need(self.command("SETBIT", "bits", 100, 1).startswith(b":"), "SETBIT")
        need(self.command("PFADD", "hll", "a", "b").startswith(b":"), "PFADD")
        need(self.command("GEOADD", "geo", 13.3, 52.5, "b").startswith(b":"), "GEOADD")
        need(self.command("BGREWRITEAOF").startswith((b"+", b"-ERR Background append only file rewriting already")), "BGREWRITEAOF")
        need(self.command("DEBUG", "JMAP").startswith(b"-"), "an unknown command was taken")
