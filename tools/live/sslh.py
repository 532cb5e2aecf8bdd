# SPDX-License-Identifier: Apache-2.0
import http.server
import threading

from common import Live, need, http_get
from squid import Origin


class Sslh(Live):
    name = "sslh"
    source = "sslh"
    packages = ("sslh",)
    workers = 1  # this version drops one of two that come at the same moment, now and then

    def prepare(self):
        self.origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        threading.Thread(target=self.origin.serve_forever, daemon=True).start()

    def start(self):
        self.spawn([self.path("usr/sbin/sslh-select"), "-f", "--listen", f"127.0.0.1:{self.port}", "--http",
                    f"127.0.0.1:{self.origin.server_address[1]}", "--user", "root", "-P", self.path("sslh.pid")])

    def request(self):
        status, body = http_get(self.port, "/through")
        need(status == 200 and b"origin /through" in body, f"HTTP {status}")

    def finish(self):
        self.origin.shutdown()
