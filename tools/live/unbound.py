# SPDX-License-Identifier: Apache-2.0
from common import Live, need, dns_query

CONFIG = """
server:
    directory: "{root}"
    chroot: ""
    username: ""
    pidfile: "{root}/unbound.pid"
    interface: 127.0.0.1
    port: {port}
    num-threads: 2
    use-syslog: no
    module-config: "iterator"
    do-daemonize: no
    do-not-query-localhost: no
    local-zone: "test." static
    local-data: "a.test. 3600 IN A 192.0.2.1"
    local-data: "a.test. 3600 IN TXT text"
    local-data: "b.test. 3600 IN AAAA 2001:db8::1"
    local-zone: "wild.test." redirect
    local-data: "wild.test. A 192.0.2.9"
remote-control:
    control-enable: no
"""


class Unbound(Live):
    name = "unbound"
    source = "unbound"
    packages = ("unbound",)

    def prepare(self):
        self.write("unbound.conf", CONFIG.format(root=self.root, port=self.port))

    def start(self):
        self.spawn([self.path("usr/sbin/unbound"), "-d", "-p", "-c", self.path("unbound.conf")])

    def request(self):
        code, n, out = dns_query(self.port, "a.test")
        need(code == 0 and n == 1 and out.endswith(bytes([192, 0, 2, 1])), f"code {code}, {n} answers")

    def check(self):
        self.request()
        need(dns_query(self.port, "b.test", 28)[1] == 1, "no AAAA")
        need(dns_query(self.port, "none.test")[0] == 3, "a missing name exists")
        need(dns_query(self.port, "x.y.wild.test", tcp=True)[0] == 0, "no answer by TCP")


class Named(Live):
    name = "bind9"
    source = "bind9"
    packages = ("bind9", "bind9-libs")

    def prepare(self):
        self.write("zone", "$TTL 60\n@ SOA a.test. h.test. 1 2 3 4 5\n@ NS a.test.\na A 192.0.2.1\nb CNAME a\nt TXT \"text\"\n")
        self.write("named.conf", f"""
options {{ directory "{self.root}"; listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    pid-file "{self.root}/named.pid"; session-keyfile "{self.root}/session.key"; recursion no; dnssec-validation no;
    lock-file none; managed-keys-directory "{self.root}"; }};
controls {{ }};
zone "test" {{ type primary; file "{self.root}/zone"; allow-transfer {{ any; }}; }};
""")

    def start(self):
        self.spawn([self.path("usr/sbin/named"), "-g", "-n", "2", "-c", self.path("named.conf")])

    def request(self):
        code, n, out = dns_query(self.port, "a.test")
        need(code == 0 and n >= 1 and bytes([192, 0, 2, 1]) in out, f"code {code}, {n} answers")

    def check(self):
        self.request()
        need(dns_query(self.port, "b.test")[1] == 2, "the alias was not followed")
        need(dns_query(self.port, "none.test")[0] == 3, "a missing name exists")
        need(dns_query(self.port, "t.test", 16, tcp=True)[1] == 1, "no answer by TCP")
        need(dns_query(self.port, "test", 252, tcp=True)[1] >= 5, "no zone transfer")
