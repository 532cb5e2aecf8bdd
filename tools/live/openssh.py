# SPDX-License-Identifier: Apache-2.0
import subprocess

from common import Live, need, NotRunnable


class Sshd(Live):
    """sshd makes a new process for each connection; the listener is what lives on."""
    name = "openssh"
    source = "openssh"
    packages = ("openssh-server",)
    also = ("openssh-client", "openssh-sftp-server")
    forks = True
    private = True
    users = ("sshd",)
    workers = 1

    def prepare(self):
        ssh = self.path("usr/bin/ssh-keygen")
        for key in ("host", "user"):
            self.run([ssh, "-q", "-t", "ed25519", "-N", "", "-f", self.path(key)])
        self.write("authorized", open(self.path("user.pub")).read(), 0o600)
        self.write("sshd_config", f"""
Port {self.port}
ListenAddress 127.0.0.1
HostKey {self.root}/host
AuthorizedKeysFile {self.root}/authorized
PidFile {self.root}/sshd.pid
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 100
Subsystem sftp {self.root}/usr/lib/openssh/sftp-server
""")

    def start(self):
        self.spawn([self.path("usr/sbin/sshd"), "-D", "-e", "-f", self.path("sshd_config")])

    def ssh(self, *command):
        return self.run([self.path("usr/bin/ssh"), "-F", "none", "-p", self.port, "-i", self.path("user"), "-o", "BatchMode=yes",
                         "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=" + self.path("known"),
                         "-o", "LogLevel=ERROR", "root@127.0.0.1", *command], timeout=30, stdin=subprocess.DEVNULL)

    def request(self):
        need(self.ssh("echo", "hello").strip() == "hello", "the command did not run")

    def check(self):
        self.request()
        need(self.ssh("head -c 300000 /dev/zero | wc -c").strip() == "300000", "output was lost")
