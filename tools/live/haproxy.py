# SPDX-License-Identifier: Apache-2.0
from common import Live, need, http_get

CONFIG = """
global
    stats socket {root}/admin.sock mode 600 level admin
    nbthread 2
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend in
    bind 127.0.0.1:{port}
    http-request set-var(req.who) hdr(x-who)
    http-request return status 200 content-type text/plain lf-string "hello %[var(req.who)]\\n" if {{ path /hello }}
    acl moved path_reg ^/moved/[0-9]+$
    http-request redirect location /hello if moved
    default_backend self
backend self
    http-request set-path /hello
    server s 127.0.0.1:{port}
"""


class Haproxy(Live):
    name = "haproxy"
    source = "haproxy"
    packages = ("haproxy",)

    def prepare(self):
        self.write("haproxy.cfg", CONFIG.format(root=self.root, port=self.port))

    def start(self):
        self.spawn([self.path("usr/sbin/haproxy"), "-db", "-f", self.path("haproxy.cfg")])

    def request(self):
        status, body = http_get(self.port, "/hello", {"x-who": "staunch"})
        need((status, body) == (200, b"hello staunch\n"), f"HTTP {status} {body[:80]!r}")

    def check(self):
        self.request()
        need(http_get(self.port, "/moved/7")[0] == 302, "no redirection")
        need(http_get(self.port, "/any", {"x-who": "you"})[1] == b"hello you\n", "no answer through the backend")
