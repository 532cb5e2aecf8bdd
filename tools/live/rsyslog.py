# SPDX-License-Identifier: Apache-2.0
import socket
import time

from common import Live, need


class Rsyslog(Live):
    name = "rsyslog"
    source = "rsyslog"
    packages = ("rsyslog",)
    turn = 0

    def prepare(self):
        self.directory("spool")
        modules = self.path("usr/lib/x86_64-linux-gnu/rsyslog")
        self.write("rsyslog.conf", f"""
global(workDirectory="{self.root}/spool")
module(load="{modules}/imtcp.so")
module(load="{modules}/mmjsonparse.so")
input(type="imtcp" port="{self.port}" address="127.0.0.1" ruleset="r")
template(name="t" type="list") {{ property(name="msg") constant(value="|") property(name="programname") constant(value="\\n") }}
ruleset(name="r") {{
    if re_match($msg, "drop[0-9]+") then stop
    action(type="omfile" file="{self.root}/out.log" template="t" asyncWriting="off" flushOnTXEnd="on")
}}
""")

    def start(self):
        self.spawn([self.path("usr/sbin/rsyslogd"), "-n", "-f", self.path("rsyslog.conf"), "-i",
                    self.path("rsyslogd.pid"), "-M", self.path("usr/lib/x86_64-linux-gnu/rsyslog")])

    def request(self):
        self.turn += 1
        mark = f"mark-{self.turn}-{time.monotonic_ns()}"
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            s.sendall(f"<13>1 2026-01-01T00:00:00Z host app - - - {mark} payload\n<13>Oct 11 22:14:15 h app: drop123\n".encode())
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                with open(self.path("out.log"), "rb") as f:
                    f.seek(0, 2)
                    f.seek(max(0, f.tell() - 65536))
                    if mark.encode() in f.read():
                        return
            except FileNotFoundError:
                pass
            time.sleep(0.005)
        raise AssertionError("a message did not arrive")
