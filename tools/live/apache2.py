# SPDX-License-Identifier: Apache-2.0
from common import Live, need, http_get


class Apache(Live):
    name = "apache2"
    source = "apache2"
    packages = ("apache2-bin",)

    def prepare(self):
        modules = self.path("usr/lib/apache2/modules")
        load = "\n".join(f"LoadModule {m}_module {modules}/mod_{m}.so" for m in
                         ("mpm_event", "authz_core", "dir", "mime", "rewrite", "proxy", "proxy_http", "deflate", "filter",
                          "headers", "status", "alias"))
        self.directory("www")
        self.write("www/index.html", "staunch " * 100)
        self.write("mime.types", "text/html html\n")
        self.write("apache.conf", f"""
ServerRoot {self.root}
{load}
ServerName localhost
Listen 127.0.0.1:{self.port}
PidFile {self.root}/apache.pid
Mutex file:{self.root}
DefaultRuntimeDir {self.root}
ErrorLog {self.root}/error.log
TypesConfig {self.root}/mime.types
DocumentRoot {self.root}/www
StartServers 1
ServerLimit 1
ThreadsPerChild 16
MaxRequestWorkers 16
DirectoryIndex index.html
AddOutputFilterByType DEFLATE text/html
RewriteEngine on
RewriteRule ^/old/(.*)$ /$1 [R=301,L]
ProxyPass /proxy/ http://127.0.0.1:{self.port}/
<Location /server-status>
  SetHandler server-status
</Location>
""")

    def start(self):
        self.spawn([self.path("usr/sbin/apache2"), "-DFOREGROUND", "-f", self.path("apache.conf")])

    def request(self):
        status, body = http_get(self.port)
        need(status == 200 and body.startswith(b"staunch"), f"HTTP {status}")

    def check(self):
        self.request()
        need(http_get(self.port, "/old/x")[0] == 301, "no redirection")
        need(http_get(self.port, "/proxy/index.html", {"Accept-Encoding": "gzip"})[1][:2] == b"\x1f\x8b", "no compression")
        need(http_get(self.port, "/none")[0] == 404, "a missing file is not 404")
        need(b"Apache" in http_get(self.port, "/server-status")[1], "no status page")
