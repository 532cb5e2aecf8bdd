# SPDX-License-Identifier: Apache-2.0
import os

from common import Live, need


class Rsync(Live):
    name = "rsync"
    source = "rsync"
    packages = ("rsync",)
    forks = True
    workers = 1

    def prepare(self):
        self.write("data/a.txt", "hello " * 5000)
        self.write("rsyncd.conf", f"use chroot = no\nuid = root\ngid = root\n[m]\npath = {self.root}/data\nread only = yes\n")

    def start(self):
        self.spawn([self.path("usr/bin/rsync"), "--daemon", "--no-detach", "--address", "127.0.0.1", "--port", self.port,
                    "--config", self.path("rsyncd.conf")])

    def request(self):
        target = self.path("copy")
        self.run([self.path("usr/bin/rsync"), "-a", "--ignore-times", f"rsync://127.0.0.1:{self.port}/m/", target + "/"])
        need(os.path.getsize(os.path.join(target, "a.txt")) == 30000, "the copy differs")
