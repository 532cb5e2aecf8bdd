#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""host.py STAUNCH APT_HOOK PROBE: the machine's own packages are upgraded and rolled back, by commands as the guide has them. The
machine's root is an overlay in namespaces of the test's own."""

import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import ownroot
import packages

ownroot.enter(os.path.dirname(os.path.dirname(HERE)), os.path.dirname(os.path.dirname(os.path.dirname(packages.STAUNCH))))
PACKAGES = ("hello", "libhello", "hello-data")


class Host(packages.Root):
    """The machine itself: no command is told of a root, a state or a policy."""

    def __init__(self, policy="", start="1min 30s"):  # pylint: disable=super-init-not-called
        self.dir = tempfile.mkdtemp(prefix="staunch-baseline-")
        os.chmod(self.dir, 0o755)
        for d in ("debs", "bin", "units", "tmp"):
            os.mkdir(self.path(d))
        self.root, self.state, self.config = "", "/var/lib/staunch", "/etc/staunch/staunch.toml"
        self.configure(policy)
        self.write("/etc/apt/apt.conf.d/99staunch-test", f"""
            DPkg::Pre-Install-Pkgs {{ "{packages.HOOK} 2>{self.dir}/hook.log || true"; }};
            DPkg::Tools::Options::{packages.HOOK}::Version "3";
            """)
        self.write("bin/systemctl", packages.SYSTEMCTL.replace("@units@", self.path("units")).replace("@start@", start), 0o755)
        self.environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C",
                                PATH=self.path("bin") + ":/usr/sbin:/usr/bin:/sbin:/bin")

    def dpkg(self, *argv):
        self.run("dpkg", "--log=/dev/null", *argv)

    def command(self, *argv):
        return [packages.STAUNCH, *argv]

    def versions(self):
        all_of_them = super().versions()
        return {p: all_of_them[p] for p in PACKAGES if p in all_of_them}

    def close(self):
        os.unlink("/etc/apt/apt.conf.d/99staunch-test")
        self.run("apt-get", "--yes", "purge", *self.versions())
        for folder in (self.state, "/etc/staunch", "/var/log/staunch"):
            for name in os.listdir(folder):
                path = os.path.join(folder, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        for file in ("/scripts", "/killed", "/etc/apt/preferences.d/staunch-held", "/etc/hello-own.conf"):
            if os.path.exists(file):
                os.unlink(file)
        super().close()


with open(os.path.join(HERE, "../../docs/guide.md")) as guide:
    text = guide.read()
for command in ("staunch rollback --last --dry-run", "`staunch rollback --last`", "`staunch rollback --resume`"):
    assert command in text, command
packages.Root = Host
wanted = ("rebuilt", "cut-off", "bad-either-way")
sys.exit(packages.main([t for t in packages.ALL if t[0] in wanted]))
