#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""packages.py STAUNCH APT_HOOK PROBE: packages of the test's own in a root of its own, upgraded by apt with the hook, and rolled
back. Units are those of a systemctl of the test's, which writes down what is restarted."""

import fcntl
import hashlib
import http.server
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))

import shape  # noqa: E402

STAUNCH, HOOK, PROBE = (os.path.abspath(p) for p in sys.argv[1:4])

SYSTEMCTL = """#!/bin/sh
# Each unit is a folder: its invocation, and what it says of its health.
cd @units@ || exit 1
verb=$1
for unit; do :; done
case $verb in
show)
        echo "InvocationID=$(cat "$unit/invocation")"
        echo "ActiveState=$("$unit/health")"
        echo Result=success
        echo "TimeoutStartUSec=@start@" ;;
restart)
        echo "$unit" >>restarted
        echo $(($(cat "$unit/invocation") + 1)) >"$unit/invocation" ;;
*) exit 1 ;;
esac
"""


class Root:
    """A root folder with dpkg's database and apt's configuration."""

    def __init__(self, policy="", start="1min 30s"):
        self.dir = tempfile.mkdtemp(prefix="staunch-baseline-")
        self.root = self.path("root")
        self.state = self.path("root/var/lib/staunch")
        for d in ("root/var/lib/dpkg/updates", "root/var/lib/dpkg/info", "root/var/lib/dpkg/triggers", "root/var/log/staunch",
                  "root/var/lib/apt/lists/partial", "root/var/cache/apt/archives/partial", "root/etc/apt/preferences.d",
                  "root/etc/apt/apt.conf.d", "root/etc/staunch", "root/var/lib/staunch", "debs", "bin", "units", "tmp"):
            os.makedirs(self.path(d))
        for f in ("root/var/lib/dpkg/status", "root/var/lib/dpkg/available", "root/var/lib/dpkg/diversions"):
            open(self.path(f), "w").close()
        self.config = self.path("root/etc/staunch/staunch.toml")
        self.configure(policy)
        self.hook = f"{HOOK} --config {self.config} --state {self.state} --root {self.root} --events {self.events_file}"
        self.write("apt.conf", f"""
            Dir "{self.root}/"; Dir::State::status "{self.root}/var/lib/dpkg/status"; Dir::Bin::dpkg "/usr/bin/dpkg";
            Dir::Bin::methods "/usr/lib/apt/methods"; Dir::Etc::sourcelist "/dev/null"; Dir::Etc::trusted "/dev/null";
            DPkg::Options {{ "--root={self.root}"; "--force-script-chrootless"; "--log=/dev/null"; "--force-not-root"; }};
            DPkg::Pre-Install-Pkgs {{ "{self.hook} 2>{self.dir}/hook.log || true"; }};
            DPkg::Tools::Options::{HOOK}::Version "3";
            APT::Sandbox::User "root"; APT::Architecture "amd64"; Acquire::Languages "none";
            """)
        self.write("bin/systemctl", SYSTEMCTL.replace("@units@", self.path("units")).replace("@start@", start), 0o755)
        self.environment = dict(os.environ, APT_CONFIG=self.path("apt.conf"), DPKG_ROOT=self.root,
                                DPKG_ADMINDIR=self.root + "/var/lib/dpkg", DEBIAN_FRONTEND="noninteractive", LC_ALL="C",
                                PATH=self.path("bin") + ":/usr/sbin:/usr/bin:/sbin:/bin")

    @property
    def events_file(self):
        return self.root + "/var/log/staunch/events.jsonl"

    def path(self, name):
        return os.path.join(self.dir, name)

    def configure(self, text):
        with open(self.config, "w") as f:
            f.write("[baseline]\nmin_free = 0\nsettle = 0\nsnapshot = \"packages\"\n" + text)

    def write(self, name, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(os.path.join(self.root, name)) as f:
            return f.read()

    def build(self, name, version, files, depends="", conffiles=(), arch="amd64", scripts=None):
        """A .deb; its path."""
        tree = tempfile.mkdtemp(dir=self.path("tmp"))
        os.makedirs(tree + "/DEBIAN")
        os.chmod(tree, 0o755)
        for path, text in files.items():
            os.makedirs(os.path.dirname(tree + path), exist_ok=True)
            if isinstance(text, tuple):
                {"link": os.link, "symlink": os.symlink}[text[0]](
                    tree + text[1] if text[0] == "link" else text[1], tree + path)
            else:
                with open(tree + path, "w") as f:
                    f.write(text)
                os.chmod(tree + path, 0o755 if "/bin/" in path else 0o644)
        with open(tree + "/DEBIAN/control", "w") as f:
            f.write(f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nMaintainer: Test <test@localhost>\n" +
                    (f"Depends: {depends}\n" if depends else "") + f"Description: test {name}\n With a second line.\n")
        if conffiles:
            with open(tree + "/DEBIAN/conffiles", "w") as f:
                f.write("".join(c + "\n" for c in conffiles))
        for script, text in (scripts or {}).items():
            with open(f"{tree}/DEBIAN/{script}", "w") as f:
                f.write(text)
            os.chmod(f"{tree}/DEBIAN/{script}", 0o755)
        out = self.path(f"debs/{name}_{version.replace(':', '%3a')}_{arch}.deb")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, out], check=True,
                       stdout=subprocess.DEVNULL)
        return out

    def run(self, *argv, code=0, **kw):
        p = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=False, **kw)
        if p.returncode != code:
            raise AssertionError(f"{argv}: code {p.returncode}, not {code}\n{p.stdout}\n{p.stderr}")
        return p.stdout + p.stderr

    def apt(self, *argv):
        self.run("apt-get", "--yes", "--quiet", "--allow-downgrades", "-oDPkg::Options::=--force-confold", *argv)

    def dpkg(self, *argv):
        self.run("dpkg", f"--root={self.root}", "--force-script-chrootless", "--log=/dev/null", *argv)

    def command(self, *argv):
        where = ["--state", self.state]
        if argv[0] not in ("history", "list"):
            where += ["--root", self.root, "--config", self.config]
        return [STAUNCH, argv[0], *where, *argv[1:]]

    def staunch(self, *argv, code=0, **kw):
        return self.run(*self.command(*argv), code=code, **kw)

    def json(self, *argv, code=0):
        have = json.loads(self.staunch(*argv, "--json", code=code))
        name = {"snapshot": "snapshots", "rollback": "rollback-plan"}.get(argv[0], argv[0])
        shape.check(shape.SHAPES[name], have, "")
        return have

    def versions(self):
        out = self.run("dpkg-query", "--show", "--showformat", "${Package} ${Version} ${db:Status-Status}\n")
        return {p: v for p, v, s in (line.split() for line in out.splitlines()) if s == "installed"}

    def events(self):
        try:
            return [json.loads(line) for line in open(self.events_file)]
        except FileNotFoundError:
            return []

    def kinds(self):
        return [e["kind"] for e in self.events()]

    def unit(self, name, health="echo active"):
        self.write(f"units/{name}/invocation", "1\n")
        self.write(f"units/{name}/health", f"#!/bin/sh\n{health}\n", 0o755)

    def restarted(self):
        try:
            return open(self.path("units/restarted")).read().split()
        except FileNotFoundError:
            return []

    def close(self):
        shutil.rmtree(self.dir)


def files(version):
    return {"/usr/bin/hello": f"#!/bin/sh\necho {version}\n", "/etc/hello.conf": f"setting {version}\n",
            "/etc/hello-own.conf": f"own {version}\n", "/usr/share/hello/data": "x" * 100000 + version,
            "/usr/share/hello/again": ("link", "/usr/share/hello/data"), "/usr/share/hello/to": ("symlink", "data"),
            "/usr/share/hello/" + "long/" * 30 + "name": version}


CONFFILES = ("/etc/hello.conf", "/etc/hello-own.conf")
SCRIPTS = {"postinst": "#!/bin/sh\necho \"$DPKG_MAINTSCRIPT_PACKAGE $*\" >>$DPKG_ROOT/scripts\n"}


def prepare(policy="", rebuilt=True, start="1min 30s"):
    """Version 1 is installed, a configuration file is changed, and version 2 comes by apt."""
    m = Root(policy, start)
    one = [m.build("hello", "1:1.0-1", files("one"), "libhello", CONFFILES, scripts=SCRIPTS),
           m.build("libhello", "1.0-1", {"/usr/lib/libhello.so": "one"})]
    two = [m.build("hello", "1:2.0-1", files("two"), "libhello (>= 2), hello-data", CONFFILES, scripts=SCRIPTS),
           m.build("libhello", "2.0-1", {"/usr/lib/libhello.so": "two"}),
           m.build("hello-data", "2.0-1", {"/usr/share/hello-data": "two"}, arch="all")]
    if rebuilt:
        m.dpkg("--install", *one)
    else:
        m.apt("install", *one)
    m.write(m.root + "/etc/hello-own.conf", "changed by hand\n")
    m.two = two
    return m


def upgrade(m):
    m.apt("install", *m.two)
    assert m.versions() == {"hello": "1:2.0-1", "libhello": "2.0-1", "hello-data": "2.0-1"}, m.versions()
    assert m.read("usr/bin/hello").endswith("two\n") and m.read("etc/hello.conf") == "setting two\n"
    assert m.read("etc/hello-own.conf") == "changed by hand\n"


def baseline(m, units, state="done"):
    """Writes a baseline down as an executor leaves it."""
    db = sqlite3.connect(m.state + "/state.db")
    number = db.execute("INSERT INTO baseline VALUES (NULL, 1, 1, ?, '')", (state,)).lastrowid
    for i, (unit, before) in enumerate(units):
        db.execute("INSERT INTO baseline_step VALUES (?, 'forward', ?, ?, ?, 0)", (number, i, unit, before))
    db.execute("UPDATE change SET baseline = ? WHERE baseline = 0", (number,))
    db.commit()
    db.close()
    return number


def check_back(m):
    assert m.versions() == {"hello": "1:1.0-1", "libhello": "1.0-1"}, m.versions()
    assert m.read("usr/bin/hello").endswith("one\n") and m.read("usr/lib/libhello.so") == "one"
    assert m.read("etc/hello.conf") == "setting one\n", "an unchanged configuration file goes back"
    assert m.read("etc/hello-own.conf") == "changed by hand\n", "a changed one stays"
    share = m.root + "/usr/share/hello/"
    assert os.stat(share + "data").st_nlink == 2 and os.path.samefile(share + "data", share + "again")
    assert os.readlink(share + "to") == "data" and m.read("usr/share/hello/data").endswith("one")
    assert m.read("usr/share/hello/" + "long/" * 30 + "name") == "one"
    assert os.stat(m.root + "/usr/bin/hello").st_mode & 0o777 == 0o755
    assert not os.path.exists(m.root + "/usr/share/hello-data")


def test_rollback(rebuilt):
    m = prepare(rebuilt=rebuilt)
    upgrade(m)
    changes = m.json("snapshot")["changes"]
    change = changes[-1]
    assert change["complete"], change
    assert {p["name"]: (p["old_version"], p["new_version"], p["copy"]) for p in change["packages"]} == {
        "hello": ("1:1.0-1", "1:2.0-1", "rebuilt" if rebuilt else "kept"),
        "libhello": ("1.0-1", "2.0-1", "rebuilt" if rebuilt else "kept"),
        "hello-data": ("", "2.0-1", None)}, change
    assert m.kinds()[-1] == "snapshot-taken"
    m.unit("hello.service")
    m.unit("other.service")
    # One unit was restarted for the baseline, the other's turn had not come.
    number = baseline(m, [("hello.service", "0"), ("other.service", "1")])
    if not rebuilt:
        with sqlite3.connect(m.state + "/state.db") as db:
            db.execute("UPDATE change SET baseline = 0 WHERE id < ?", (change["id"],))
    plan = m.json("rollback", "--last", "--dry-run")
    assert {p["name"]: (p["from"], p["to"]) for p in plan["packages"]} == {
        "hello": ("1:2.0-1", "1:1.0-1"), "libhello": ("2.0-1", "1.0-1"), "hello-data": ("2.0-1", None)}, plan
    assert m.versions()["hello"] == "1:2.0-1"
    m.staunch("rollback", str(number), code=2, stdin=subprocess.DEVNULL)  # nobody to ask
    out = m.staunch("rollback", str(number), "--yes")
    assert "was rolled back" in out, out
    check_back(m)
    assert m.restarted() == ["hello.service"], m.restarted()
    assert m.kinds()[-2:] == ["rollback-started", "rollback-done"], m.kinds()
    assert "hello configure 1:2.0-1" in m.read("scripts"), "maintainer scripts run"
    assert {(h["package"], h["version"]) for h in m.json("list", code=3)["held"]} == {
        ("hello", "1:2.0-1"), ("libhello", "2.0-1"), ("hello-data", "2.0-1")}
    preferences = m.read("etc/apt/preferences.d/staunch-held")
    assert "Package: hello\nPin: version 1:2.0-1\nPin-Priority: -1\n" in preferences, preferences
    assert m.json("history")["baselines"][-1]["state"] == "rolled-back"
    m.staunch("rollback", str(number), "--yes", code=1)  # once
    # The changed file still counts as changed: an upgrade asks, or keeps it.
    m.staunch("release", str(number))
    assert not os.path.exists(m.root + "/etc/apt/preferences.d/staunch-held")
    upgrade(m)
    m.close()


def test_copies_are_verified():
    m = prepare()
    upgrade(m)
    number = baseline(m, [])
    copy = [p for p in os.listdir(m.state + "/debs") if p.startswith("libhello_1")][0]
    path = os.path.join(m.state, "debs", copy)
    good = open(path, "rb").read()
    with open(path, "r+b") as f:
        f.seek(len(good) // 2)
        f.write(bytes([good[len(good) // 2] ^ 0xff]))
    out = m.staunch("rollback", str(number), "--yes", code=1)
    assert "SHA-256 differs" in out, out
    os.unlink(path)
    m.staunch("rollback", str(number), "--yes", code=1)
    assert m.versions()["hello"] == "1:2.0-1" and m.json("history")["baselines"][-1]["state"] == "done"
    with open(path, "wb") as f:
        f.write(good)
    # Something else now needs the new version: apt would have to remove it, which was no part of the change.
    m.apt("install", m.build("needs", "1", {"/usr/share/needs": ""}, "libhello (>= 2)"))
    out = m.staunch("rollback", str(number), "--yes", code=1)
    assert m.versions()["hello"] == "1:2.0-1" and m.versions()["needs"] == "1"
    m.apt("remove", "needs")
    m.staunch("rollback", str(number), "--yes")
    check_back(m)
    m.close()


def test_hook_fails_open():
    """Whatever is wrong with the hook, the upgrade goes on, and it is told."""
    m = prepare()
    with open(m.config, "w") as f:
        f.write("nonsense = \n")
    shutil.rmtree(m.state)
    with open(m.state, "w") as f:  # no folder can be made there
        f.write("")
    upgrade(m)
    assert m.kinds() == ["snapshot-failed"], m.kinds()
    m.close()
    m = prepare("max_size = 0\n")
    upgrade(m)
    change = m.json("snapshot")["changes"][-1]
    assert not change["complete"] and "max_size" in change["reason"], change
    assert m.kinds() == ["snapshot-failed"], m.kinds()
    number = baseline(m, [])
    assert "there is no copy" in m.staunch("rollback", str(number), "--yes", code=1)
    m.close()
    m = prepare()
    p = subprocess.run(m.hook.split(), input="VERSION 2\n", text=True, capture_output=True, check=False)
    assert p.returncode == 1 and "not version 3" in p.stderr, p
    m.close()


def test_cut_off():
    """Killed in the middle of dpkg: the next try finishes it."""
    m = prepare()
    upgrade(m)
    m.unit("hello.service")
    number = baseline(m, [("hello.service", "0")])
    # The old version's postinst kills the whole rollback once.
    copy = [p for p in os.listdir(m.state + "/debs") if p.startswith("hello_1%3a1")][0]
    postinst = ("#!/bin/sh\n[ -e $DPKG_ROOT/killed ] || { touch $DPKG_ROOT/killed; "
                f"kill -KILL $(cat {m.path('pid')}) 2>/dev/null; kill -KILL $PPID; }}\n")
    kept = {path: text for path, text in files("one").items() if path != CONFFILES[1]}
    killer = m.build("hello", "1:1.0-1", kept, "libhello", (CONFFILES[0],), scripts={"postinst": postinst})
    shutil.copy(killer, os.path.join(m.state, "debs", copy))
    digest = hashlib.sha256(open(killer, "rb").read()).hexdigest()
    with sqlite3.connect(m.state + "/state.db") as db:
        db.execute("UPDATE change_package SET sha256 = ? WHERE name = 'hello'", (digest,))
    p = subprocess.Popen(m.command("rollback", str(number), "--yes"), env=m.environment, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT,
                         preexec_fn=lambda: open(m.path("pid"), "w").write(str(os.getpid())) and None)
    p.communicate()
    assert p.returncode == -signal.SIGKILL, p.returncode
    assert os.path.exists(m.root + "/killed")
    assert m.versions().get("hello") != "1:1.0-1", m.versions()
    assert m.json("history")["baselines"][-1]["state"] == "rolling-back"
    # apt and dpkg of the one that was killed have ended when they give up their lock.
    with open(m.root + "/var/lib/dpkg/lock-frontend", "r+") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
    m.staunch("rollback", "--resume")
    check_back(m)
    assert m.restarted() == ["hello.service"], m.restarted()
    assert m.json("history")["baselines"][-1]["state"] == "rolled-back"
    assert "No baseline is unfinished" in m.staunch("rollback", "--resume")
    m.close()


def test_bad_either_way():
    m = prepare()
    upgrade(m)
    m.unit("hello.service", "echo failed")
    number = baseline(m, [("hello.service", "0")])
    out = m.staunch("rollback", str(number), "--yes", code=3)
    assert "not well either" in out, out
    assert "'staunch rollback --last' tries again" in m.staunch("rollback", "--resume")
    assert m.kinds()[-1] == "rollback-failed"
    check_back(m)
    m.unit("hello.service")
    m.staunch("rollback", "--last", "--yes")
    assert m.json("history")["baselines"][-1]["state"] == "rolled-back"
    m.close()


class Service(http.server.ThreadingHTTPServer):
    """What runs as hello.service: the version on disk, of which the second answers wrongly (`wrong` times)."""

    def __init__(self, wrong):
        super().__init__(("127.0.0.1", 0), Answer)
        self.root, self.wrong, self.asked = None, wrong, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        with open(os.path.join(self.server.root, "usr/bin/hello")) as f:
            wrong = f.read().endswith("two\n") and self.server.asked < self.server.wrong
        self.server.asked += 1
        text = b"HTTP/1.0 500 \r\n\r\nno" if wrong else b"HTTP/1.0 200 \r\n\r\nyes"
        self.wfile.write(text)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


def settled(probe, wrong, start, what="hello.service"):
    """A baseline that restarted hello.service (or `what`), which runs, is gone on with."""
    service = Service(wrong)
    m = prepare(f'[[probe]]\nunit = "hello.service"\nname = "answer"\n{probe.format(port=service.server_port)}\n', start=start)
    service.root = m.root
    upgrade(m)
    m.unit("hello.service")
    baseline(m, [(what, "0")], "restarting")
    return m, service


def test_does_not_answer():
    """The unit is active, and a probe of it fails: the machine goes back by itself."""
    for probe, why in [('http = "http://127.0.0.1:{port}/"', "status 500"),
                       ('tcp = "127.0.0.1:1"', "")]:
        m, service = settled(probe, 1 << 30, "1s")
        # Nothing listens there in either version.
        bad = "tcp" in probe
        out = m.staunch("rollback", "--resume", code=3 if bad else 0)
        check_back(m)
        last = m.json("history")["baselines"][-1]
        assert last["state"] == ("rollback-failed" if bad else "rolled-back"), last
        assert f"hello.service: the probe 'answer' fails: {why}" in last["reason"], last
        assert m.restarted() == ["hello.service"], m.restarted()
        assert m.kinds()[-3:] == ["baseline-failed", "rollback-started", "rollback-failed" if bad else "rollback-done"], out
        service.close()
        m.close()


def test_failed_before():
    """What failed when the baseline began is not judged by."""
    m, service = settled('http = "http://127.0.0.1:{port}/"', 1 << 30, "1s")
    with sqlite3.connect(m.state + "/state.db") as db:
        db.execute("INSERT INTO baseline_step SELECT id, 'probe', 0, 'hello.service', 'answer', 0 FROM baseline")
    m.staunch("rollback", "--resume")
    assert m.json("history")["baselines"][-1]["state"] == "done"
    assert service.asked == 0 and m.versions()["hello"] == "1:2.0-1", service.asked
    service.close()
    m.close()


def test_machine_does_not_answer():
    """The machine was restarted: each service that has a probe is asked."""
    m, service = settled('http = "http://127.0.0.1:{port}/"', 1 << 30, "1s", "machine")
    assert "with the next reboot" in m.staunch("rollback", "--resume")
    reason = m.json("history")["baselines"][-1]["reason"]
    assert "machine: hello.service: the probe 'answer' fails: status 500" in reason, reason
    check_back(m)
    service.close()
    m.close()


def test_answers_in_the_end():
    """It does not answer at once, but within the time that it may take to start."""
    m, service = settled('http = "http://127.0.0.1:{port}/"', 2, "10min")
    m.staunch("rollback", "--resume")
    assert m.json("history")["baselines"][-1]["state"] == "done"
    assert service.asked == 3, service.asked
    assert m.versions()["hello"] == "1:2.0-1" and m.kinds()[-1] == "baseline-done", m.kinds()
    service.close()
    m.close()


ALL = [("rebuilt", lambda: test_rollback(True)), ("kept", lambda: test_rollback(False)),
       ("verified", test_copies_are_verified), ("fails-open", test_hook_fails_open), ("cut-off", test_cut_off),
       ("bad-either-way", test_bad_either_way), ("does-not-answer", test_does_not_answer),
       ("failed-before", test_failed_before), ("machine-does-not-answer", test_machine_does_not_answer),
       ("answers-in-the-end", test_answers_in_the_end)]


def main(tests):
    global STAUNCH  # pylint: disable=global-statement
    for tool in ("apt-get", "dpkg-deb", "dpkg-query"):
        if not shutil.which(tool):
            print(f"needs {tool}")
            return 77
    if os.geteuid() != 0:
        print("needs root")
        return 77
    print(f"1..{len(tests)}", flush=True)
    bad = 0
    # As installed: the program finds what makes probes beside it.
    programs = tempfile.mkdtemp(prefix="staunch-baseline-programs-")
    shutil.copy(PROBE, programs)
    STAUNCH = shutil.copy(STAUNCH, programs)
    for i, (name, test) in enumerate(tests, 1):
        try:
            test()
            print(f"ok {i} - {name}", flush=True)
        except Exception:  # pylint: disable=broad-except
            bad += 1
            print(f"not ok {i} - {name}", flush=True)
            for line in (traceback.format_exc()).splitlines():
                print(f"# {line}", flush=True)
    shutil.rmtree(programs)
    return bad != 0


if __name__ == "__main__":
    sys.exit(main(ALL))
