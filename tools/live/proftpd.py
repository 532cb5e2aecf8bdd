# SPDX-License-Identifier: Apache-2.0
import ftplib
import io
import threading

from common import Live, need


class Proftpd(Live):
    name = "proftpd"
    source = "proftpd-dfsg"
    packages = ("proftpd-core",)
    forks = True
    workers = 1

    def prepare(self):
        self.directory("files", mode=0o777)
        # "secret", by crypt(3) with SHA-512.
        import subprocess
        word = subprocess.run(["openssl", "passwd", "-6", "secret"], capture_output=True, text=True, check=True).stdout.strip()
        self.write("ftpd.passwd", f"u:{word}:65534:65534::{self.root}/files:/bin/sh\n", 0o600)
        self.write("ftpd.group", "g:x:65534:u\n", 0o600)
        self.write("proftpd.conf", f"""
ServerName x
ServerType standalone
DefaultServer on
UseIPv6 off
DefaultAddress 127.0.0.1
Port {self.port}
User root
Group root
ModulePath {self.root}/usr/lib/proftpd
PidFile {self.root}/proftpd.pid
ScoreboardFile {self.root}/scoreboard
DelayTable none
DelayEngine off
SystemLog {self.root}/proftpd.log
TransferLog none
WtmpLog off
AuthPAM off
AuthOrder mod_auth_file.c
AuthUserFile {self.root}/ftpd.passwd
AuthGroupFile {self.root}/ftpd.group
RequireValidShell off
UseReverseDNS off
AllowOverwrite on
""")

    def start(self):
        self.spawn([self.path("usr/sbin/proftpd"), "-n", "-q", "-c", self.path("proftpd.conf")])

    def request(self):
        name = f"{threading.get_ident()}.bin"  # another client must not write it meanwhile
        with ftplib.FTP() as f:
            f.connect("127.0.0.1", self.port, timeout=10)
            f.login("u", "secret")
            f.storbinary("STOR " + name, io.BytesIO(b"x" * 10000))
            got = io.BytesIO()
            f.retrbinary("RETR " + name, got.write)
            need(got.getvalue() == b"x" * 10000, "the file differs")
            need(name in f.nlst(), "the list lacks the file")
