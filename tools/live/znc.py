# SPDX-License-Identifier: Apache-2.0
import os
import shutil

from common import Live, need, exchange


class Znc(Live):
    name = "znc"
    source = "znc"
    packages = ("znc",)

    def prepare(self):
        os.makedirs(self.path("znc"))
        os.symlink(self.path("usr/lib/znc"), self.path("znc/modules"))
        os.chmod(self.root, 0o755)
        self.write("znc/configs/znc.conf", f"""Version = 1.8.2
<Listener l>
	Port = {self.port}
	Host = 127.0.0.1
	IPv4 = true
	IPv6 = false
	SSL = false
	AllowIRC = true
	AllowWeb = true
</Listener>
<User admin>
	Admin = true
	Nick = admin
	Ident = admin
	Pass = plain#secret
</User>
""")
        for directory, _, files in os.walk(self.path("znc")):
            for name in [directory, *(os.path.join(directory, f) for f in files)]:
                shutil.chown(name, "nobody")

    def start(self):
        self.spawn([self.path("usr/bin/znc"), "-f", "-r", "-d", self.path("znc")], user="nobody")

    def request(self):
        out = exchange(self.port, b"PASS admin:secret\r\nNICK admin\r\nUSER admin 0 * :x\r\nPRIVMSG *status :Version\r\n", until=b"SSL:")
        need(b" 001 admin" in out and b"ZNC" in out, f"{out[:120]!r}")
