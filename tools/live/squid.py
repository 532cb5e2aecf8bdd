# SPDX-License-Identifier: Apache-2.0
import http.server
import os
import threading

from common import Live, need, exchange


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"origin " + self.path.encode() * 20
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=60")
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass  # the client has gone; it says so itself when that is a failure

    def log_message(self, *args):
        pass


class Squid(Live):
    name = "squid"
    source = "squid"
    packages = ("squid",)
    also = ("squid-common",)
    turn = 0

    def prepare(self):
        self.origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        threading.Thread(target=self.origin.serve_forever, daemon=True).start()
        share = self.path("usr/share/squid")
        os.chmod(self.root, 0o777)
        self.directory("cache")
        self.directory("errors")
        self.write("squid.conf", f"""
http_port 127.0.0.1:{self.port}
http_access allow all
cache_mem 16 MB
pid_filename {self.root}/squid.pid
access_log stdio:{self.root}/access.log
cache_log {self.root}/cache.log
cache_store_log none
coredump_dir {self.root}
cache_effective_user nobody
mime_table {share}/mime.conf
icon_directory {share}/icons
error_directory {self.root}/errors
visible_hostname localhost
pinger_enable off
netdb_filename none
shutdown_lifetime 0 seconds
logfile_daemon {self.root}/usr/lib/squid/log_file_daemon
unlinkd_program {self.root}/usr/lib/squid/unlinkd
dns_nameservers 127.0.0.1
host_verify_strict off
""")
        self.write("usr/share/squid/mime.conf", "")

    def start(self):
        self.spawn([self.path("usr/sbin/squid"), "-N", "-n", f"s{self.port}", "-f", self.path("squid.conf")], user="nobody")

    def get(self, path):
        port = self.origin.server_address[1]
        return exchange(self.port, f"GET http://127.0.0.1:{port}{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())

    def request(self):
        self.turn += 1
        out = self.get(f"/{self.turn % 50}")
        need(b" 200 OK" in out and b"origin" in out, f"{out[:80]!r}")

    def check(self):
        self.request()
        out = exchange(self.port, b"GET cache_object://localhost/info HTTP/1.0\r\n\r\n")
        need(out.startswith(b"HTTP/1."), "the cache manager does not answer")
        need(b" 400 " in exchange(self.port, b"GET bad%url HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n"), "a bad request is not 400")

    def finish(self):
        self.origin.shutdown()
