# SPDX-License-Identifier: Apache-2.0
from common import Live, need, exchange


class Memcached(Live):
    name = "memcached"
    source = "memcached"
    packages = ("memcached",)

    def start(self):
        self.spawn([self.path("usr/bin/memcached"), "-u", "root", "-l", "127.0.0.1", "-p", self.port, "-U", 0])

    def request(self):
        out = exchange(self.port, b"set k 0 0 5\r\nhello\r\nget k\r\n", until=b"END\r\n")
        need(b"STORED" in out and b"hello" in out, f"{out[:80]!r}")

    def check(self):
        self.request()
        out = exchange(self.port, b"add n 0 0 1\r\n1\r\nincr n 41\r\ntouch n 100\r\ngets n\r\nms m 2\r\nhi\r\nmg m v\r\nmn\r\n", until=b"MN\r\n")
        need(b"VA 2" in out and b"hi" in out and b"VALUE n" in out, f"{out[:200]!r}")
        need(b"STAT threads" in exchange(self.port, b"stats\r\n", until=b"END\r\n"), "no statistics")


class LibeventInMemcached(Memcached):
    name = "libevent-memcached"
    source = "libevent"
    packages = ("libevent-2.1-7",)
    also = ("memcached",)
