# SPDX-License-Identifier: Apache-2.0
"""nginx with TLS; also the host of libraries that it uses."""

import os
import re
import ssl
import socket

from common import Live, need, http_get, free_port

MODULE_FREE = """
daemon off;
master_process on;
worker_processes 2;
pid {root}/nginx.pid;
error_log {root}/error.log warn;
user root;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {root}/tmp/body;
    proxy_temp_path {root}/tmp/proxy;
    fastcgi_temp_path {root}/tmp/fastcgi;
    uwsgi_temp_path {root}/tmp/uwsgi;
    scgi_temp_path {root}/tmp/scgi;
    types {{ text/html html; text/plain txt; }}
    gzip on;
    gzip_min_length 64;
    keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{tls} ssl http2;
        ssl_certificate {root}/cert.pem;
        ssl_certificate_key {root}/key.pem;
        root {root}/www;
        location ~ "^/regex/(?<word>[a-z]+)-([0-9]{{1,8}})\\.txt$" {{ return 200 "$word $2\\n"; }}
        location /proxy/ {{ proxy_pass http://127.0.0.1:{port}/; }}
    }}
}}
"""


class Nginx(Live):
    name = "nginx"
    source = "nginx"
    packages = ("nginx",)
    tls_port = 0

    def prepare(self):
        self.tls_port = free_port()
        for d in ("www", "tmp", "var/log/nginx", "var/lib/nginx"):
            os.makedirs(self.path(d), exist_ok=True)
        self.write("www/index.html", "<html>" + "staunch " * 200 + "</html>\n")
        self.write("nginx.conf", MODULE_FREE.format(root=self.root, port=self.port, tls=self.tls_port))
        certificate(self)

    def start(self):
        self.spawn([self.path("usr/sbin/nginx"), "-p", self.root, "-c", self.path("nginx.conf"), "-e", self.path("error.log")])

    def request(self):
        status, body = http_get(self.port)
        need(status == 200 and b"staunch" in body, f"HTTP {status}")

    def tls(self, path="/"):
        context = ssl.create_default_context(cafile=self.path("cert.pem"))
        with socket.create_connection(("127.0.0.1", self.tls_port), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname="localhost") as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                out = b""
                while True:
                    got = s.recv(65536)
                    if not got:
                        return out
                    out += got

    def check(self):
        self.request()
        need(b"200 OK" in self.tls() , "no answer by TLS")
        need(http_get(self.port, "/regex/abc-123.txt")[1] == b"abc 123\n", "the regular expression did not match")
        need(http_get(self.port, "/none")[0] == 404, "a missing file is not 404")
        status, body = http_get(self.port, "/proxy/index.html", {"Accept-Encoding": "gzip"})
        need(status == 200 and body[:2] == b"\x1f\x8b", "no compressed answer through the proxy")


def certificate(live):
    """A certificate of its own for localhost, made by the openssl of this machine."""
    import subprocess
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", live.path("key.pem"), "-out", live.path("cert.pem")],
                   check=True, capture_output=True)


class OpensslInNginx(Nginx):
    name = "openssl-nginx"
    source = "openssl"
    packages = ("libssl3",)
    also = ("nginx",)

    def request(self):
        need(b"200 OK" in self.tls(), "no answer by TLS")


class PcreInNginx(Nginx):
    name = "pcre2-nginx"
    source = "pcre2"
    packages = ("libpcre2-8-0",)
    also = ("nginx",)

    def request(self):
        need(http_get(self.port, "/regex/hello-42.txt")[1] == b"hello 42\n", "the regular expression did not match")
