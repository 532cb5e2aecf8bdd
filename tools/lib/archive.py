# SPDX-License-Identifier: Apache-2.0
"""What the configured Debian archive offers: packages with two versions, and their files.

Everything is downloaded through apt (which checks the signatures) into a cache outside the
repository, and unpacked under roots of our own; nothing is installed."""

import collections
import os
import re
import shutil
import subprocess
import tempfile

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "staunch", "debs")
FIELDS = re.compile(r"^(Package|Version|Source|Architecture|Size|Section|Depends|Pre-Depends): (.*)$", re.M)


class ArchiveError(Exception):
    pass


def _order(c):
    if c == "~":
        return -1
    return ord(c) if c.isalpha() else ord(c) + 256


def _part_key(part):
    """A key that sorts as dpkg compares one upstream version or revision."""
    key = []
    for text, number in re.findall(r"([^0-9]*)([0-9]*)", part):
        # The end of a run of letters sorts after ~ and before everything else.
        key.append(tuple(_order(c) for c in text) + (0,))
        key.append(int(number or 0))
    return key


def version_key(version):
    epoch, _, rest = version.rpartition(":") if ":" in version else ("0", "", version)
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return (int(epoch), _part_key(upstream), _part_key(revision))


class Package:
    def __init__(self, fields):
        self.name = fields["Package"]
        self.version = fields["Version"]
        self.source = fields.get("Source", self.name).split()[0]
        self.size = int(fields.get("Size", 0))
        self.section = fields.get("Section", "")
        self.architecture = fields.get("Architecture", "")
        self.depends = ", ".join(x for x in (fields.get("Pre-Depends"), fields.get("Depends")) if x)

    def file_name(self):
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


class Archive:
    """The package lists that apt has at hand."""

    def __init__(self):
        self.packages = collections.defaultdict(dict)
        files = self._indexes()
        if not files:
            subprocess.run(["apt-get", "-qq", "update"], check=False)
            files = self._indexes()
        for name in files:
            text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", name], capture_output=True,
                                  check=False).stdout.decode(errors="replace")
            for stanza in text.split("\n\n"):
                fields = dict(FIELDS.findall(stanza))
                if fields.get("Architecture") in ("amd64", "all") and "Version" in fields:
                    self.packages[fields["Package"]][fields["Version"]] = Package(fields)

    @staticmethod
    def _indexes():
        try:
            out = subprocess.run(["apt-get", "indextargets", "--format", "$(FILENAME)", "Created-By: Packages"],
                                 capture_output=True, text=True, check=False).stdout.split()
        except FileNotFoundError:
            return []
        return [f for f in out if os.path.exists(f)]

    def versions(self, name):
        """Oldest first."""
        return sorted(self.packages.get(name, {}).values(), key=lambda p: version_key(p.version))

    def pair(self, name):
        """The newest version and the one before it, or None."""
        v = self.versions(name)
        return (v[-2], v[-1]) if len(v) > 1 else None

    def sources(self):
        """source -> [(old, new)] for every package with two versions."""
        out = collections.defaultdict(list)
        for name in sorted(self.packages):
            pair = self.pair(name)
            if pair and pair[1].architecture != "all":
                out[pair[1].source].append(pair)
        return dict(sorted(out.items()))

    def common(self, source):
        """The newest packages NAME-common of a source that hold no programs: units and init scripts are often there."""
        newest = (self.versions(name)[-1] for name in self.packages if name.endswith("-common"))
        return [p for p in newest if p.source == source and p.architecture == "all"]

    @staticmethod
    def _cached(package):
        path = os.path.join(CACHE, package.file_name())
        there = os.path.exists(path) and (not package.size or os.path.getsize(path) == package.size)
        return path if there else None

    def fetch(self, package):
        """The path of the .deb, downloaded when it is not in the cache."""
        return self.fetch_all([package])[0]

    def fetch_all(self, packages):
        """Their paths. One run of apt for all that are not in the cache."""
        lacking = [p for p in packages if not self._cached(p)]
        if lacking:
            os.makedirs(CACHE, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=CACHE, prefix=".partial-") as d:
                r = subprocess.run(["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download",
                                    *(f"{p.name}={p.version}" for p in lacking)], cwd=d, capture_output=True, text=True)
                for f in os.listdir(d):
                    if f.endswith(".deb"):
                        os.rename(os.path.join(d, f), os.path.join(CACHE, f))
            absent = [p for p in lacking if not self._cached(p)]
            if absent:
                text = (r.stderr.strip().splitlines() or ["not downloaded"])[-1]
                raise ArchiveError(", ".join(f"{p.name} {p.version}" for p in absent[:5]) + ": " + text)
        return [self._cached(p) for p in packages]

    def libraries(self, package, skip=(), depth=6):
        """The library packages that `package` needs and that this machine lacks, newest version."""
        wanted, seen = {}, set(skip)

        def visit(p, level):
            for clause in p.depends.split(","):
                for choice in clause.split("|"):
                    name = choice.split("(")[0].split(":")[0].strip()
                    if not name or name in seen or name not in self.packages:
                        continue
                    v = self.versions(name)[-1]
                    if not v.section.endswith("libs") and not name.startswith("lib"):
                        continue
                    seen.add(name)
                    if not installed(name):
                        wanted[name] = v
                        if level:
                            visit(v, level - 1)
                    break

        visit(package, depth)
        return list(wanted.values())


def installed(name):
    r = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}\n", name], capture_output=True, text=True)
    return "installed" in r.stdout.split()


def unpack(deb, root):
    """Unpacks under `root` with a merged /usr."""
    os.makedirs(root, exist_ok=True)
    for d in ("bin", "sbin", "lib", "lib64"):
        os.makedirs(os.path.join(root, "usr", d), exist_ok=True)
        if not os.path.lexists(os.path.join(root, d)):
            os.symlink("usr/" + d, os.path.join(root, d))
    subprocess.run(["dpkg-deb", "-x", deb, root], check=True)


def contents(deb):
    """The paths of the files in a .deb, relative to the root."""
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, check=True).stdout
    names = subprocess.run(["tar", "-tf", "-"], input=tar, stdout=subprocess.PIPE, check=True).stdout.decode(errors="replace")
    return {n[2:] if n.startswith("./") else n for n in names.splitlines() if not n.endswith("/")}


def upgrade(old, new, root):
    """Replaces the files of the old .deb by those of the new as dpkg does: each is written beside its
    name, then renamed over it, so that what runs or is mapped keeps its old inode; what only the old
    one has is removed. Returns how many files were put in place."""
    n = 0
    deb = new
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(root))) as staged:
        unpack(deb, staged)
        for directory, dirs, files in os.walk(staged):
            at = os.path.join(root, os.path.relpath(directory, staged))
            if os.path.islink(directory):
                continue
            os.makedirs(at, exist_ok=True)
            for f in files + [d for d in dirs if os.path.islink(os.path.join(directory, d))]:
                source, target = os.path.join(directory, f), os.path.join(at, f)
                if os.path.islink(source):
                    if os.path.isdir(target) and not os.path.islink(target):
                        continue
                    if os.path.islink(target) and os.readlink(target) == os.readlink(source):
                        continue
                    os.symlink(os.readlink(source), target + ".dpkg-new")
                else:
                    shutil.copy2(source, target + ".dpkg-new")
                os.rename(target + ".dpkg-new", target)
                n += 1
    for name in contents(old) - contents(new):
        try:
            os.unlink(os.path.join(root, name))
        except OSError:
            pass  # another package's, or a directory by now
    return n
