# SPDX-License-Identifier: Apache-2.0
import socket
import struct

from common import Live, need

SCRIPT = """<?php
$a = json_decode(json_encode(['x' => range(1, 50), 'n' => $_SERVER['QUERY_STRING']]), true);
usort($a['x'], fn($p, $q) => $q <=> $p);
preg_match('/^(\\w+)=(\\d+)$/', $a['n'], $m);
echo 'ok ', array_sum($a['x']), ' ', $m[2] ?? '-', ' ', strlen(serialize($a)), ' ', md5(str_repeat('x', 1000)), ' ',
    htmlspecialchars('<a>'), ' ', date('Y', 0), ' ', base64_encode(hash('sha256', 'x', true)), "\\n";
"""


def record(kind, body):
    return struct.pack(">BBHHBB", 1, kind, 1, len(body), 0, 0) + body


class PhpFpm(Live):
    name = "php-fpm"
    source = "php8.2"
    packages = ("php8.2-fpm", "php8.2-common")

    def prepare(self):
        self.write("www/x.php", SCRIPT)
        self.write("fpm.conf", f"""
[global]
error_log = {self.root}/fpm.log
pid = {self.root}/fpm.pid
daemonize = no
[www]
user = root
group = root
listen = 127.0.0.1:{self.port}
pm = static
pm.max_children = 2
""")

    def start(self):
        self.spawn([self.path("usr/sbin/php-fpm8.2"), "-n", "-R", "-F", "-y", self.path("fpm.conf")])

    def request(self):
        values = {"SCRIPT_FILENAME": self.path("www/x.php"), "REQUEST_METHOD": "GET", "QUERY_STRING": "n=7",
                  "SCRIPT_NAME": "/x.php", "SERVER_PROTOCOL": "HTTP/1.1"}
        body = b"".join(bytes([len(k)]) + struct.pack(">I", len(v) | 1 << 31) + k.encode() + v.encode() for k, v in values.items())
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            s.sendall(record(1, struct.pack(">HB5x", 1, 0)) + record(4, body) + record(4, b"") + record(5, b""))
            out = b""
            while True:
                got = s.recv(65536)
                if not got:
                    break
                out += got
        need(b"ok 1275 7 " in out and b"&lt;a&gt; 1970" in out, f"{out[:200]!r}")
