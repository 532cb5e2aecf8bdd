#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""windows.py STAUNCHD STAUNCH SOURCE: restarts in maintenance windows, by a service manager of the test's own: a systemd
in user mode, in a mount namespace and a cgroup of its own, on a bus of its own; the agent takes it for the system's."""

import errno
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "agent"))
from told import told_of_processes  # noqa: E402

STAUNCHD, STAUNCH, SOURCE = sys.argv[1:4]
CC = os.environ.get("CC", "cc").split()
SHAPE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli", "shape.py")
SYSTEMD = "/lib/systemd/systemd"
NAMESPACE = """mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && for f in {groups}; do echo $$ >$f || exit 1; done
exec {systemd} --user --log-target=console --log-level=notice"""

# Waits until something in the folder is written, or some time has passed (which is how often a life is checked).
WAIT = """
import ctypes, select, sys
fd = ctypes.CDLL(None).inotify_init()
ctypes.CDLL(None).inotify_add_watch(fd, sys.argv[1].encode(), 0x2 | 0x100)
select.select([fd], [], [], 0.2)
"""


def wait_in(folder):
    subprocess.run([sys.executable, "-c", WAIT, folder], check=False)


def equal(have, want, what):
    if have != want:
        raise AssertionError(f"{what}: {have!r}, expected {want!r}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def utc(seconds):
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def window(start=None, duration="2h", name="night", more=""):
    """One that is open now, unless `start` says otherwise."""
    return (f'[[window]]\nname = "{name}"\nstart = "{start or utc(time.time() - 60)}"\nduration = "{duration}"\n'
            f'time_zone = "UTC"\nrecur = "Day"\n{more}')


def remove_group(folder):
    """What the manager has killed may not be gone yet, and control groups of version 1 tell nobody when it is."""
    while True:
        try:
            return os.rmdir(folder)
        except OSError as e:
            if e.errno != errno.EBUSY:
                raise
        time.sleep(0.01)


class Manager:
    """A service manager with its bus."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="staunch-restart-")
        self.units = os.path.join(self.dir, "units", "systemd", "user")
        os.makedirs(self.units)
        os.mkdir(os.path.join(self.dir, "run"), 0o700)
        self.bus = "unix:path=" + os.path.join(self.dir, "run", "bus")
        self.groups = []
        for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"):
            if os.path.exists(os.path.join(root, "cgroup.procs")):
                group = os.path.join(root, f"staunch-test-{os.getpid()}")
                os.mkdir(group)
                self.groups.append(group)
        self.env = dict(os.environ, XDG_RUNTIME_DIR=os.path.join(self.dir, "run"), HOME=self.dir,
                        XDG_CONFIG_HOME=os.path.join(self.dir, "units"), DBUS_SESSION_BUS_ADDRESS=self.bus)
        self.put("default.target", "[Unit]\nDescription=nothing\n")
        # It takes only a bus that it started itself.
        self.put("dbus.socket", "[Socket]\nListenStream=%t/bus\n")
        self.put("dbus.service", "[Unit]\nRequires=dbus.socket\n[Service]\nType=notify\nExecStart=/usr/bin/dbus-daemon "
                 "--session --address=systemd: --nofork --nopidfile --systemd-activation --nosyslog\n")
        self.log = open(os.path.join(self.dir, "systemd.log"), "w")
        script = NAMESPACE.format(systemd=SYSTEMD, groups=" ".join(g + "/cgroup.procs" for g in self.groups))
        self.systemd = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
                                        env=self.env, stdout=self.log, stderr=self.log)

    def ready(self):
        """False when systemd does not run here."""
        while not os.path.exists(os.path.join(self.dir, "run", "systemd", "private")):
            if self.systemd.poll() is not None:
                return False
            wait_in(self.dir)
        self.ctl("start", "dbus.service")
        return True

    def put(self, name, text):
        with open(os.path.join(self.units, name), "w") as f:
            f.write(text)

    def ctl(self, *args, check=True):
        r = subprocess.run(["systemctl", "--user", *args], env=self.env, capture_output=True, text=True, check=False)
        if check and r.returncode:
            raise AssertionError(f"systemctl {' '.join(args)}: {r.stderr}")
        return r.stdout.strip()

    def show(self, unit, what):
        return self.ctl("show", "-p", what, "--value", unit)

    def close(self):
        if self.systemd.poll() is None:
            self.systemd.terminate()
        self.systemd.wait()
        self.log.close()
        for group in self.groups:
            for folder, _, _ in os.walk(group, topdown=False):
                remove_group(folder)
        shutil.rmtree(self.dir)


class Machine:
    """Programs below a root, units that run them, and an agent that looks after them."""

    def __init__(self, manager):
        self.m = manager
        self.dir = tempfile.mkdtemp(prefix="staunch-windows-")
        self.root = os.path.join(self.dir, "root")
        os.mkdir(self.root)
        self.config = os.path.join(self.dir, "staunch.toml")
        self.events_file = os.path.join(self.dir, "events.jsonl")
        self.prefix = os.path.basename(self.dir).replace("_", "-")
        self.agent = None
        self.units = {}
        self.children = []
        self.seen = 0
        self.configure("")

    def unit(self, name, more_unit="", more_service=""):
        """A server of its own, started. Returns the unit's full name."""
        full = f"{name}-{self.prefix}.service"
        port, program = free_port(), os.path.join(self.root, name)
        shutil.copy(builds["1"], program)
        self.m.put(full, f"[Unit]\n{more_unit}\n[Service]\nExecStartPre=/bin/sh -c 'echo start >>{self.dir}/{name}.starts; "
                         f"rm -f {self.dir}/{name}.ready'\nExecStart={program} {port} {self.dir}/{name}.ready\n"
                         f"TimeoutStartSec=20\nTimeoutStopSec=20\n{more_service}\n")
        self.units[full] = (name, port, program)
        self.m.ctl("daemon-reload")
        self.m.ctl("start", full)
        self.await_ready(name)
        return full

    def await_ready(self, name):
        while not os.path.exists(os.path.join(self.dir, name + ".ready")):
            wait_in(self.dir)

    def starts(self, unit):
        with open(os.path.join(self.dir, self.units[unit][0] + ".starts")) as f:
            return len(f.read().splitlines())

    def upgrade(self, unit, build):
        program = self.units[unit][2]
        shutil.copy(builds[build], program + ".new")
        os.rename(program + ".new", program)

    def ask(self, unit, port=None):
        c = http.client.HTTPConnection("127.0.0.1", port or self.units[unit][1], timeout=60)
        c.request("GET", "/")
        text = c.getresponse().read().decode()
        c.close()
        return int(text.split()[1])

    def configure(self, text, restart=""):
        settle = "" if "settle" in restart else 'settle = "1s"\n'
        with open(self.config, "w") as f:
            f.write(f'[baseline]\nsettle = 0\n[restart]\n{settle}reboot_required = "{self.dir}/reboot-required"\n{restart}\n{text}')
        if self.agent:
            self.agent.send_signal(signal.SIGHUP)
            self.await_event("config-changed")

    def start(self):
        self.log = open(os.path.join(self.dir, "log"), "a")
        self.agent = subprocess.Popen([STAUNCHD, "--config", self.config, "--state", os.path.join(self.dir, "state"),
                                       "--runtime", os.path.join(self.dir, "run"), "--events", self.events_file, "--root",
                                       self.root], stderr=self.log, env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=self.m.bus))
        self.await_event("agent-started")

    def stop(self, sig=signal.SIGTERM):
        self.agent.send_signal(sig)
        code = self.agent.wait()
        self.agent = None
        self.log.close()
        return code

    def converge(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(self.dir, "run", "control"))
            s.sendall(b'{"op": "converge"}\n')
            equal(json.loads(s.makefile().readline())["ok"], True, "a round")

    def turn(self):
        """A round, and the executor's turn that follows it."""
        def last():
            with sqlite3.connect(os.path.join(self.dir, "state", "state.db"), timeout=60) as db:
                row = db.execute("SELECT time_usec FROM mark WHERE kind = 'turn'").fetchone()
            db.close()
            return row[0] if row else 0
        begun = time.time() * 1000000
        self.converge()
        while last() < begun:
            wait_in(self.dir)

    def events(self):
        try:
            with open(self.events_file) as f:
                return [json.loads(line) for line in f if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def await_event(self, kind, unit=None):
        """The next event of this kind after those that were awaited before."""
        while True:
            for i, e in enumerate(self.events()[self.seen:], self.seen):
                if e["kind"] == kind and unit in (None, e["fields"].get("STAUNCH_UNIT")):
                    self.seen = i + 1
                    return e
                if e["kind"] == "restart-failed" and kind == "restart-done":
                    raise AssertionError(f"awaited {kind}: {e}")
            if self.agent and self.agent.poll() is not None:
                raise AssertionError(f"the agent ended ({self.agent.returncode}) before '{kind}'")
            wait_in(self.dir)

    def count(self, kind, unit=None):
        return sum(e["kind"] == kind and unit in (None, e["fields"].get("STAUNCH_UNIT")) for e in self.events())

    def staunch(self, code, *args):
        r = subprocess.run([STAUNCH, *args], capture_output=True, text=True, check=False,
                           env=dict(os.environ, DBUS_SYSTEM_BUS_ADDRESS=self.m.bus))
        if r.returncode != code:
            raise AssertionError(f"staunch {' '.join(args)}: exit code {r.returncode}, expected {code}: {r.stderr}{r.stdout}")
        return r.stdout

    def staunch_json(self, code, shape, *args):
        text = self.staunch(code, *args, "--json")
        subprocess.run([sys.executable, SHAPE, shape], input=text, text=True, check=True)
        return json.loads(text)

    def close(self):
        if self.agent:
            self.stop()
        for c in self.children:
            c.terminate()
            c.wait()
        for unit in self.units:
            self.m.ctl("kill", "--signal=SIGKILL", unit, check=False)
            self.m.ctl("stop", unit, check=False)
            os.unlink(os.path.join(self.m.units, unit))
        shutil.rmtree(self.dir)


def restarted_in_the_window(m):
    unit = m.unit("web")
    m.start()
    m.upgrade(unit, "wide")
    m.converge()
    m.await_event("restart-pending", unit)
    equal(m.ask(unit), 1, "the version before the window")
    m.configure(window())
    m.await_event("window-opened")
    m.await_event("restart-done", unit)
    m.await_ready("web")
    equal(m.ask(unit), 2, "the version after the window")
    equal(m.starts(unit), 2, "its starts")
    m.converge()
    equal(m.count("restart-begun"), 1, "restarts")
    equal(m.count("window-opened"), 1, "windows told")


def restarts_are_a_baseline(m):
    """It is told, looked after, and in the history; one that is not well has nothing to go back to here."""
    unit = m.unit("web")
    m.upgrade(unit, "wide")
    m.configure(window())
    m.start()
    m.await_event("baseline-started")
    m.await_event("restart-done", unit)
    m.await_event("baseline-done")
    history = ["history", "--state", os.path.join(m.dir, "state"), "--json"]
    equal([b["state"] for b in json.loads(m.staunch(0, *history))["baselines"]], ["done"], "baselines")
    m.upgrade(unit, "bad")
    m.converge()
    m.await_event("baseline-started")
    m.await_event("restart-failed", unit)
    m.await_event("baseline-failed")
    m.converge()
    baselines = json.loads(m.staunch(0, *history))["baselines"]
    equal([b["state"] for b in baselines], ["done", "failed"], "baselines")
    assert "there is no way back" in baselines[1]["reason"], baselines


def told_with_packages_and_cves(m):
    """What was known when it became pending is said to the end, when it does not wait any more."""
    unit = m.unit("web")
    m.start()
    m.upgrade(unit, "wide")
    m.converge()
    pending = m.await_event("restart-pending", unit)["fields"]
    with sqlite3.connect(os.path.join(m.dir, "state", "state.db"), timeout=60) as db:
        db.execute("UPDATE restart SET package = 'web-package', cves = 'CVE-2099-1 CVE-2099-2', omitted = 3")
    db.close()
    m.configure(window())
    opened = m.await_event("window-opened")["fields"]
    equal([opened[k] for k in ("STAUNCH_PACKAGE", "STAUNCH_CVE", "STAUNCH_CVES_OMITTED")],
          ["web-package", ["CVE-2099-1", "CVE-2099-2"], "3"], "what the window is for")
    for kind, has_builds in ("baseline-started", False), ("restart-begun", True), ("restart-done", True), ("baseline-done", False):
        f = m.await_event(kind)["fields"]
        equal((f.get("STAUNCH_PACKAGE"), f.get("STAUNCH_CVE")), ("web-package", ["CVE-2099-1", "CVE-2099-2"]), f"what {kind} says")
        for key in ("STAUNCH_IMAGE", "STAUNCH_BUILD_ID_OLD", "STAUNCH_BUILD_ID_NEW"):
            equal(f.get(key), pending[key] if has_builds else None, f"what {kind} says")


def nothing_outside_of_windows(m):
    unit = m.unit("web")
    m.configure(window(start=utc(time.time() + 7200)))
    m.start()
    m.upgrade(unit, "wide")
    m.converge()
    m.converge()
    equal(m.starts(unit), 1, "its starts")
    equal(m.count("window-opened"), 0, "windows")
    # What is said about it.
    listed = m.staunch_json(0, "windows", "window", "--config", m.config)["windows"][0]
    equal([listed["name"], listed["open"], listed["duration_sec"]], ["night", False, 7200], "the window")
    assert "closed" in m.staunch(0, "window", "next", "--config", m.config)
    state = ["--config", m.config, "--state", os.path.join(m.dir, "state")]
    plan = m.staunch_json(3, "plan", "window", "plan", *state)
    equal([(s["subject"], s["window"], s["obstacle"]) for s in plan["steps"]], [(unit, "night", None)], "the plan")
    equal(plan["steps"][0]["need_usec"], 41000000, "the longest that it may take")
    assert "night" in m.staunch(3, "window", "plan", *state)
    assert "(night)" in m.staunch(3, "list", *state)
    equal(m.staunch_json(3, "list", "list", *state)["restarts"][0]["window"], "night", "its window in the list")
    m.configure("")
    assert "by hand" in m.staunch(3, "list", *state)
    m.staunch(3, "window", "next", "--config", m.config)
    assert "no [[window]]" in m.staunch(0, "window", "--config", m.config)


def dpkg_has(machine, package, versions):
    """The package is installed below the machine's root. `versions`: oldest first, each with the CVE that it fixes."""
    folder = os.path.join(machine.root, "var/lib/dpkg")
    doc = os.path.join(machine.root, "usr/share/doc", package)
    for d in os.path.join(folder, "info"), doc:
        os.makedirs(d, exist_ok=True)
    with open(os.path.join(folder, "status"), "a") as f:
        f.write(f"Package: {package}\nStatus: install ok installed\nArchitecture: all\nVersion: {versions[-1][0]}\n\n")
    open(os.path.join(folder, "info", package + ".list"), "w").close()
    with open(os.path.join(doc, "changelog.Debian"), "w") as f:
        f.write("".join(f"{package} ({version}) stable; urgency=high\n\n  * Fix {cve}.\n\n"
                        " -- A Maintainer <a@example.org>  Sat, 01 Aug 2026 10:00:00 +0000\n\n"
                        for version, cve in reversed(versions)))


def hold(machine, unit, *packages):
    """Notes that a package asked for the unit's restart and was told no, as policy-rc.d does. Returns the folder of notes.
    `packages`: each with its architecture and the version before, in one text."""
    folder = os.path.join(machine.dir, "state", "held")
    os.makedirs(folder, exist_ok=True)
    with open("/proc/sys/kernel/random/boot_id") as b, open("/proc/uptime") as u:
        note = f"{b.read().strip()} {float(u.read().split()[0]) + 1}\n"  # the kernel counts starts in hundredths
    note += "".join(p + "\n" for p in packages)
    with open(os.path.join(folder, unit), "w") as f:
        f.write(note)
    return folder


def what_a_package_asked_for(m):
    """A restart that was held although no code that runs has changed; once, also when an old process outlives it."""
    unit = m.unit("web", more_service="KillMode=process\nExecStartPost=/bin/sh -c 'sleep infinity &'")
    m.start()
    dpkg_has(m, "web-package", [("1.0-1", "CVE-2099-1001"), ("1.0-2", "CVE-2099-1002"), ("1.0-3", "CVE-2099-1003")])
    dpkg_has(m, "web-more", [("2:4-1", "CVE-2099-1004"), ("2:4-2", "CVE-2099-1005")])
    held = hold(m, unit, "web-package all 1.0-1+b2", "web-more all 2:4-1", "gone all 7")
    m.converge()
    fields = m.await_event("restart-pending", unit)["fields"]
    equal(fields["STAUNCH_REASON"], "package-restart", "the reason")
    is_for = ("web-package web-more gone", ["CVE-2099-1003", "CVE-2099-1002", "CVE-2099-1005"])
    equal((fields["STAUNCH_PACKAGE"], fields["STAUNCH_CVE"]), is_for, "what restart-pending is for")
    m.converge()
    state = ["--config", m.config, "--state", os.path.join(m.dir, "state")]
    listed, = m.staunch_json(3, "list", "list", *state)["restarts"]
    equal((" ".join(listed["packages"]), listed["cves"], listed["cves_omitted"]), (*is_for, 0), "what the list says of it")
    assert "web-package web-more gone" in m.staunch(3, "list", *state)
    m.configure(window())
    fields = m.await_event("restart-begun", unit)["fields"]
    equal((fields["STAUNCH_PACKAGE"], fields["STAUNCH_CVE"]), is_for, "what restart-begun is for")
    m.await_event("restart-done", unit)
    m.await_ready("web")
    m.converge()
    m.converge()
    equal(m.starts(unit), 2, "its starts")
    equal(os.listdir(held), [], "what is held")
    equal(json.loads(m.staunch(0, "list", "--state", os.path.join(m.dir, "state"), "--json"))["restarts"], [], "pending")


def a_patch_takes_the_place_of_what_a_package_asked_for(m):
    """Also one that was in before, and taken out by a downgrade."""
    unit = m.unit("web")
    m.start()
    m.converge()  # the agent's first round is over, and can't come between an upgrade and its note
    for build, kind in ("next", "patch-installed"), ("1", "patch-reverted"), ("next", "patch-installed"):
        m.upgrade(unit, build)
        folder = hold(m, unit)
        later = time.time() + 60  # than the second in which the first patch was applied
        os.utime(os.path.join(folder, unit), (later, later))
        m.converge()
        m.await_event(kind, unit)
        equal(os.listdir(folder), [], f"what is held after {build}")
    equal(m.ask(unit), 7, "its answer")
    equal(m.count("restart-pending"), 0, "restarts that are pending")


def not_required_again_after_a_reboot(m):
    """What is known of an earlier boot must not ask for another restart of the machine."""
    unit = m.unit("web", more_unit="RefuseManualStop=yes")
    m.start()
    m.upgrade(unit, "wide")
    m.converge()
    m.await_event("reboot-required", unit)
    m.stop()
    # A reboot: the unit is new, /run is empty, the boot's id is another one.
    os.unlink(os.path.join(m.dir, "reboot-required"))
    m.m.ctl("kill", "--signal=SIGKILL", unit)
    while m.m.show(unit, "ActiveState") != "failed":
        wait_in(m.dir)
    m.m.ctl("start", unit)
    m.await_ready("web")
    with sqlite3.connect(os.path.join(m.dir, "state", "state.db")) as db:
        equal(db.execute("UPDATE mark SET key = 'another' WHERE kind = 'boot'").rowcount, 1, "boots that are known")
    db.close()
    m.start()
    m.converge()
    m.stop()
    equal(os.path.exists(os.path.join(m.dir, "reboot-required")), False, "a reboot is required")


def in_the_order_of_dependencies(m):
    """By way of a unit between them that waits for nothing; their names are the other way round."""
    between = f"between-{m.prefix}.target"
    m.m.put(between, f"[Unit]\nAfter=z-db-{m.prefix}.service\n")
    db = m.unit("z-db")
    web = m.unit("a-web", more_unit=f"After={between}\n")
    for u in (web, db):
        m.upgrade(u, "wide")
    m.configure(window())
    m.start()
    m.await_event("restart-done", db)
    m.await_event("restart-done", web)
    os.unlink(os.path.join(m.m.units, between))


def restarted_once_with_what_it_requires(m):
    db = m.unit("db")
    web = m.unit("web", more_unit=f"After=db-{m.prefix}.service\nRequires=db-{m.prefix}.service\n")
    for u in (web, db):
        m.upgrade(u, "wide")
    m.configure(window())
    m.start()
    e = m.await_event("restart-done", db)
    assert f"with {web}" in e["message"], e
    m.await_event("restart-done", web)
    equal([m.starts(db), m.starts(web)], [2, 2], "their starts")


def window_too_short(m):
    """What may take longer than the time that is left is not begun; what fits is."""
    slow = m.unit("a-slow", more_service="TimeoutStopSec=30min\n")
    fast = m.unit("b-fast")
    for u in (slow, fast):
        m.upgrade(u, "wide")
    m.configure(window(duration="20min"), restart='timeout = "1h"')
    m.start()
    e = m.await_event("window-exceeded", slow)
    assert "it may need 18" in e["message"], e
    m.await_event("restart-done", fast)
    m.converge()
    equal(m.count("window-exceeded"), 1, "times it was told")
    equal(m.starts(slow), 1, "the starts of what did not fit")


def restart_that_fails(m):
    """The build that is installed does not run. Nothing more is restarted."""
    bad = m.unit("a-bad")
    next_one = m.unit("b-next")
    m.upgrade(bad, "bad")
    m.upgrade(next_one, "wide")
    m.configure(window())
    m.start()
    e = m.await_event("restart-failed", bad)
    assert "exit-code" in e["message"], e
    for _ in range(2):
        m.turn()
    equal(m.starts(next_one), 1, "the starts of the next one")
    equal(m.count("restart-failed"), 1, "failures told")
    done = json.loads(m.staunch(0, "history", "--json", "--state", os.path.join(m.dir, "state")))["actions"]
    equal([a["outcome"] for a in done if a["action"] == "restart"], ["failed"], "the history")


def probe_of(machine, unit):
    """The agent's own look at it is out of the way."""
    return (f'[[probe]]\nunit = "{unit}"\nname = "answer"\nhttp = "http://127.0.0.1:{machine.units[unit][1]}/"\n'
            'interval = "1d"\n')


def came_up_and_does_not_answer(m):
    """The unit runs and answers wrongly: a restart that failed, and a baseline that did."""
    bad = m.unit("a-bad", more_service="TimeoutStartSec=2\n")
    next_one = m.unit("b-next")
    m.upgrade(bad, "wrong")
    m.upgrade(next_one, "wide")
    m.configure(window() + probe_of(m, bad))
    m.start()
    m.await_event("baseline-failed")
    failed = [e["message"] for e in m.events() if e["kind"] == "restart-failed"]
    assert len(failed) == 1 and f"{bad}: the restart failed: the probe 'answer' fails: status 500" in failed[0], failed
    m.converge()
    equal(m.m.show(bad, "ActiveState"), "active", "the unit")
    equal(m.starts(next_one), 1, "the starts of the next one")
    equal(m.count("restart-failed", bad), 1, "failures told")
    equal(m.count("restart-done"), 0, "restarts that went well")


def came_up_and_answers_later(m):
    """A probe that fails is tried again for as long as the unit may take to start."""
    unit = m.unit("web", more_service="TimeoutStartSec=10min\n")
    m.upgrade(unit, "late")
    m.configure(window(duration="4h") + probe_of(m, unit), restart='timeout = "1h"')
    m.start()
    m.await_event("restart-done", unit)
    m.await_event("baseline-done")
    equal(m.starts(unit), 2, "its starts")


def a_probe_that_failed_before_is_not_judged_by(m):
    """Neither by the restart nor by its baseline; what passed before still is."""
    unit = m.unit("web", more_service="TimeoutStartSec=2\n")
    next_one = m.unit("z-next", more_service="TimeoutStartSec=2\n")
    m.upgrade(unit, "wide")
    m.upgrade(next_one, "wrong")
    broken = f'[[probe]]\nunit = "{unit}"\nname = "broken"\ncommand = ["/bin/false"]\ninterval = "1d"\n'
    m.configure(window() + probe_of(m, unit) + broken + probe_of(m, next_one))
    m.start()
    said = m.await_event("baseline-started")["message"]
    assert said.endswith(f"not judged by: 'broken' of {unit}"), said
    m.await_event("restart-done", unit)
    m.await_event("restart-failed", next_one)
    m.await_event("baseline-failed")
    equal(m.count("restart-failed", unit), 0, "failures told")


def the_one_restarted_with_it_does_not_answer(m):
    db = m.unit("db")
    web = m.unit("web", more_unit=f"After=db-{m.prefix}.service\nRequires=db-{m.prefix}.service\n",
                 more_service="TimeoutStartSec=2\n")
    m.upgrade(db, "wide")
    m.upgrade(web, "wrong")
    m.configure(window() + probe_of(m, web), restart='timeout = "5s"')
    m.start()
    m.await_event("baseline-failed")
    failed = [e["message"] for e in m.events() if e["kind"] == "restart-failed"]
    assert failed and f"{web}, which was restarted with it: the probe 'answer' fails: status 500" in failed[0], failed


def came_up_and_ended(m):
    unit = m.unit("web", more_service="Restart=always\nRestartSec=100ms\n")
    m.upgrade(unit, "short")
    m.configure(window(), restart='settle = "1min"')
    m.start()
    e = m.await_event("restart-failed", unit)
    assert "ended again" in e["message"] or "did not stay up" in e["message"], e


def patched_service_that_is_started_again(m):
    """No signal ends the patched process: it fails by itself, and systemd starts the unit again. The patch is to blame."""
    unit = m.unit("web", more_service="Restart=always\nRestartSec=3s\n")
    program, port = m.units[unit][2], free_port()
    m.children.append(subprocess.Popen([program, str(port), os.path.join(m.dir, "loose.ready")]))
    m.await_ready("loose")
    m.start()
    m.upgrade(unit, "quits")
    m.converge()
    equal(m.count("patch-installed"), 2, "processes that were patched")
    equal(m.ask(unit), -1, "the patched version")
    e = m.await_event("health-degraded", unit)
    assert "ended with exit code 1, and systemd started it again" in e["message"], e
    m.await_event("patch-quarantined")
    m.await_event("patch-reverted")
    equal([m.ask(unit, port), m.children[0].poll()], [1, None], "the other process")


def service_that_was_started_again_before(m):
    """It fails with the patch as it failed without: the patch stays."""
    unit = m.unit("web", more_service="Restart=always\nRestartSec=1s\n")

    def fail(how, count):
        os.unlink(os.path.join(m.dir, "web.ready"))
        how()
        m.await_ready("web")
        equal(m.m.show(unit, "NRestarts"), count, "restarts by systemd")

    fail(lambda: m.m.ctl("kill", "--signal=SIGKILL", unit), "1")
    m.start()
    m.upgrade(unit, "quits")
    m.converge()
    equal(m.count("patch-installed"), 1, "processes that were patched")
    fail(lambda: m.ask(unit), "2")
    m.converge()
    m.converge()
    equal([m.count("health-degraded"), m.count("patch-quarantined")], [0, 0], "patches that are to blame")


def stopped_unit_is_not_started(m):
    unit = m.unit("web")
    m.start()
    m.upgrade(unit, "wide")
    m.converge()
    m.await_event("restart-pending", unit)
    m.m.ctl("stop", unit)
    m.configure(window())
    m.await_event("window-opened")
    m.converge()
    equal(m.starts(unit), 1, "its starts")
    equal(m.m.show(unit, "ActiveState"), "inactive", "its state")


def window_passed_without_the_agent(m):
    unit = m.unit("web")
    m.start()
    m.upgrade(unit, "wide")
    m.converge()
    m.await_event("restart-pending", unit)
    m.stop()
    # Two days ago it ran for the last time; a window ended an hour ago.
    day = 86400 * 1000000
    with sqlite3.connect(os.path.join(m.dir, "state", "state.db")) as db:
        db.execute("UPDATE mark SET time_usec = time_usec - ? WHERE kind = 'turn'", (2 * day,))
        db.execute("UPDATE restart SET since_usec = since_usec - ?", (2 * day,))
    db.close()
    m.configure(window(start=utc(time.time() - 7200 - 3 * 86400), duration="1h"))
    m.start()
    e = m.await_event("restart-missed", unit)
    assert "the agent did not run" in e["message"], e
    m.await_event("window-closed")
    m.converge()
    equal(m.count("restart-missed"), 1, "times it was told")
    equal(m.starts(unit), 1, "its starts")


def machine_is_restarted_once(m):
    flag = os.path.join(m.dir, "rebooted")
    m.configure(window(), restart=f'reboot = "Always"\nreboot_command = "echo reboot >>{flag}"')
    m.start()
    m.await_event("reboot-begun")
    m.converge()
    # After the reboot the window is open still.
    m.stop()
    another_boot(m)
    m.start()
    m.converge()
    m.converge()
    with open(flag) as f:
        equal(f.read(), "reboot\n", "what the command did")
    equal(m.count("reboot-begun"), 1, "restarts of the machine")


def pending_again(m):
    """What is known of a process does not hide that its restart is not pending any more."""
    unit = m.unit("web")
    m.start()
    m.upgrade(unit, "wide")
    m.converge()
    m.await_event("restart-pending", unit)
    m.stop()
    with sqlite3.connect(os.path.join(m.dir, "state", "state.db")) as db:
        equal(db.execute("DELETE FROM restart").rowcount, 1, "restarts")
    db.close()
    m.start()
    m.await_event("restart-pending", unit)


def reboot_required(m):
    """A unit that does not take a restart well: the machine has to be restarted, and only the policy may do that."""
    unit = m.unit("docker")
    m.upgrade(unit, "wide")
    m.configure(window())
    m.start()
    m.await_event("reboot-required", unit)
    with open(os.path.join(m.dir, "reboot-required")) as f:
        equal(f.read(), "*** System restart required ***\n", "the file")
    m.converge()
    equal([m.starts(unit), m.count("reboot-begun"), m.count("reboot-required")], [1, 0, 1], "its starts, and reboots")
    flag = os.path.join(m.dir, "rebooted")
    m.configure(window(), restart=f'reboot = "IfRequired"\nreboot_command = "touch {flag}"')
    e = m.await_event("reboot-begun")
    assert unit in e["message"], e
    while not os.path.exists(flag):
        wait_in(m.dir)
    # What knows better: it may be restarted.
    m.stop()
    another_boot(m)
    m.configure(window(), restart='allow = ["docker*"]')
    m.start()
    m.await_event("restart-done", unit)
    equal(m.starts(unit), 2, "its starts")


def drain_command(machine, code):
    """A window in which `web` is drained by a command that ends with this code; where it says what it did."""
    m = machine
    unit = m.unit("web")
    m.upgrade(unit, "wide")
    trace = os.path.join(m.dir, "trace")
    m.configure(window() + f'[[drain]]\nunit = "web*"\nbefore = "echo before $STAUNCH_UNIT >>{trace}; exit {code}"\n'
                f'after = "cat {m.dir}/web.starts >>{trace}"\n')
    m.start()
    return unit, trace


def another_boot(machine):
    """What the state knows of this boot is now of an earlier one: the machine was restarted. The agent must not run."""
    with sqlite3.connect(os.path.join(machine.dir, "state", "state.db")) as db:
        for table in ("UPDATE mark SET key = 'another' WHERE kind = 'boot'", "UPDATE mark SET text = 'another' WHERE kind = 'reboot'",
                      "UPDATE baseline_step SET before = 'another' WHERE unit = 'machine'"):
            db.execute(table)
    db.close()


def waited_enough(machine):
    """The machine was told to restart a long time ago. The agent must not run."""
    with sqlite3.connect(os.path.join(machine.dir, "state", "state.db")) as db:
        equal(db.execute("UPDATE mark SET time_usec = 1 WHERE kind = 'reboot'").rowcount, 1, "restarts that are under way")
    db.close()


def changed_package(machine):
    """The state knows of a change of packages that nothing has brought into force."""
    with sqlite3.connect(os.path.join(machine.dir, "state", "state.db")) as db:
        db.execute("INSERT INTO change (time_usec, baseline, complete, reason) VALUES (1, 0, 0, 'no copy')")
        db.execute("INSERT INTO change_package VALUES (1, 'no-such-package', 'all', '1', '2', '', '', '', 0)")
    db.close()


def machine_alone_is_a_baseline(m):
    """With something that it brings into force; looked after when the machine is back, by the probes of all services."""
    unit = m.unit("web", more_service="TimeoutStartSec=2\n")
    m.start()
    m.stop()
    changed_package(m)
    m.configure(window() + probe_of(m, unit), restart='reboot = "Always"\nreboot_command = "true"')
    m.start()
    m.await_event("baseline-started")
    m.await_event("reboot-begun")
    m.stop()
    # It does not go down: nothing was restarted, and the change waits for another one.
    waited_enough(m)
    m.start()
    m.await_event("baseline-cancelled")
    m.stop()
    m.configure(window(name="next") + probe_of(m, unit), restart='reboot = "Always"\nreboot_command = "true"')
    m.start()
    m.await_event("baseline-started")
    m.await_event("reboot-begun")
    m.stop()
    another_boot(m)
    m.upgrade(unit, "wrong")
    m.m.ctl("restart", unit)
    m.start()
    e = m.await_event("baseline-failed")
    assert f"machine: {unit}: the probe 'answer' fails: status 500" in e["message"], e
    m.stop()
    states = [b["state"] for b in json.loads(m.staunch(0, "history", "--state", os.path.join(m.dir, "state"), "--json"))["baselines"]]
    equal(states, ["cancelled", "failed"], "baselines")  # there is no copy of the old version


def machine_is_drained(m):
    """Each unit that has a drain, and the machine; taken into use when the machine is back, not before; at once when it stays."""
    unit = m.unit("web")
    trace = os.path.join(m.dir, "trace")
    drains = "".join(f'[[drain]]\nunit = "{u}"\nbefore = "echo before {n} >>{trace}"\nafter = "echo after {n} >>{trace}"\n'
                     for u, n in (("web-*", "web"), ("machine", "machine"), ("nothing*", "nothing")))

    def traced():
        with open(trace) as f:
            return f.read().splitlines()

    # It can't be restarted.
    m.configure(window() + drains, restart='reboot = "Always"\nreboot_command = "echo down >>%s; exit 1"' % trace)
    m.start()
    e = m.await_event("restart-failed", "machine")
    assert "reboot_command" in e["message"], e
    equal(traced(), ["before machine", "before web", "down", "after machine", "after web"], "what was run")
    os.unlink(trace)
    m.configure(window(name="next") + drains, restart='reboot = "Always"\nreboot_command = "echo down >>%s"' % trace)
    while not os.path.exists(trace) or "down" not in traced():
        wait_in(m.dir)
    m.stop()
    m.start()
    m.converge()
    equal(traced(), ["before machine", "before web", "down"], "what was run before the machine is back")
    m.stop()
    another_boot(m)
    m.start()
    while len(traced()) < 5:
        wait_in(m.dir)
    equal(traced()[3:], ["after machine", "after web"], "what was run when it is back")
    m.m.ctl("is-active", unit)


def unit_that_stays_drained_says_what_it_waits_for(m):
    """It was drained for a restart of the machine that did not come, and can't be taken into use again."""
    unit = m.unit("web", more_unit="RefuseManualStop=yes")
    m.start()
    m.upgrade(unit, "wide")
    m.converge()
    m.await_event("restart-pending", unit)
    with sqlite3.connect(os.path.join(m.dir, "state", "state.db"), timeout=60) as db:
        db.execute("UPDATE restart SET package = 'web-package', cves = 'CVE-2099-1001'")
    db.close()
    m.configure(window() + '[[drain]]\nunit = "web-*"\nbefore = "true"\nafter = "exit 1"\n',
                restart='reboot = "Always"\nreboot_command = "exit 1"')
    e = m.await_event("restart-failed", unit)
    equal(e["fields"]["STAUNCH_REASON"], "drain", "why")
    equal((e["fields"].get("STAUNCH_PACKAGE"), e["fields"].get("STAUNCH_CVE")), ("web-package", ["CVE-2099-1001"]),
          "what it waits for")


def machine_goes_down_for_a_rollback(m):
    """What the reboot of a rollback needs, also outside of a window: drained once, taken into use when the rollback has ended."""
    unit = m.unit("web")
    trace = os.path.join(m.dir, "trace")
    m.start()
    m.stop()

    def state(*commands):
        with sqlite3.connect(os.path.join(m.dir, "state", "state.db")) as db:
            for c in commands:
                db.execute(*c)
        db.close()

    def traced():
        if not os.path.exists(trace):
            return []
        with open(trace) as f:
            return f.read().splitlines()

    with open("/proc/sys/kernel/random/boot_id") as f:
        boot = f.read().strip()
    state(("INSERT INTO baseline VALUES (1, 1, 1, 'rebooting', 'not well')",),
          ("INSERT INTO baseline_step VALUES (1, 'forward', 0, 'machine', 'another', 1)",),
          ("INSERT INTO baseline_step VALUES (1, 'boot', 0, '', ?, 1)", (boot,)),
          ("INSERT INTO baseline_step VALUES (1, 'about', 0, 'STAUNCH_PACKAGE', 'web-package', 1)",),
          ("INSERT INTO baseline_step VALUES (1, 'about', 1, 'STAUNCH_CVE', 'CVE-2099-1001', 1)",))
    m.configure("".join(f'[[drain]]\nunit = "{u}"\nbefore = "echo before {n} >>{trace}"\nafter = "echo after {n} >>{trace}"\n'
                        for u, n in (("web-*", "web"), ("machine", "machine"))),
                restart=f'reboot = "IfRequired"\nreboot_command = "echo down >>{trace}"')
    m.start()
    e = m.await_event("reboot-begun", "machine")
    assert "baseline 1" in e["message"], e
    equal((e["fields"].get("STAUNCH_PACKAGE"), e["fields"].get("STAUNCH_CVE")), ("web-package", ["CVE-2099-1001"]),
          "what the reboot is for")
    while "down" not in traced():
        wait_in(m.dir)
    m.stop()
    m.start()
    m.converge()
    m.stop()
    equal([traced(), m.count("reboot-begun")], [["before machine", "before web", "down"], 1], "what was done while it goes down")
    # It did not: asked for once more.
    another_boot(m)
    m.start()
    while len(traced()) < 4:
        wait_in(m.dir)
    m.stop()
    equal(traced()[3:], ["down"], "what was done when it did not go down")
    another_boot(m)
    state(("UPDATE baseline SET state = 'rolled-back'",))
    m.start()
    while len(traced()) < 6:
        wait_in(m.dir)
    equal(traced()[4:], ["after machine", "after web"], "what was done when it is back")
    m.m.ctl("is-active", unit)


def machine_that_does_not_go_down(m):
    """It was told to, and stays: told, and taken into use again."""
    m.unit("web")
    trace = os.path.join(m.dir, "trace")
    m.configure(window() + f'[[drain]]\nunit = "machine"\nbefore = "true"\nafter = "echo after >>{trace}"\n',
                restart='reboot = "Always"\nreboot_command = "true"')
    m.start()
    m.await_event("reboot-begun")
    m.stop()
    waited_enough(m)
    m.start()
    e = m.await_event("restart-failed", "machine")
    assert "did not" in e["message"], e
    while not os.path.exists(trace):
        wait_in(m.dir)


def no_time_to_drain_the_machine(m):
    """Told once; no baseline is begun for it, again and again."""
    m.unit("web")
    m.start()
    m.stop()
    changed_package(m)
    m.configure(window(duration="10min") + '[[drain]]\nunit = "machine"\nbefore = "true"\ntimeout = "1h"\n',
                restart='reboot = "Always"\nreboot_command = "true"')
    m.start()
    e = m.await_event("window-exceeded", "machine")
    assert "draining may need 3600 s" in e["message"], e
    m.turn()
    equal([m.count(k) for k in ("window-exceeded", "baseline-started", "reboot-begun")], [1, 0, 0], "what was told")


def machine_that_missed_its_window(m):
    """Another program asked for it while there was a window, and the agent did not run."""
    m.start()
    m.stop()
    with open(os.path.join(m.dir, "reboot-required"), "w") as f:
        f.write("*** System restart required ***\n")
    with open(os.path.join(m.dir, "reboot-required.pkgs"), "w") as f:
        f.write("linux-image\n")
    begun = time.time() - 7200
    os.utime(os.path.join(m.dir, "reboot-required"), (begun, begun))
    with sqlite3.connect(os.path.join(m.dir, "state", "state.db")) as db:
        equal(db.execute("UPDATE mark SET time_usec = ? WHERE kind = 'turn'", (int(begun * 1000000),)).rowcount, 1, "turns")
    db.close()
    m.configure(window(start=utc(begun + 600), duration="30min"), restart='reboot = "IfRequired"\nreboot_command = "false"')
    m.start()
    e = m.await_event("restart-missed", "machine")
    assert "linux-image" in e["message"] and "did not run" in e["message"], e
    m.await_event("window-closed")
    m.converge()
    equal(m.count("restart-missed"), 1, "times it was told")


def drained_by_commands(m):
    """They run as units of their own, one before and one after the restart."""
    unit, trace = drain_command(m, 0)
    m.await_event("restart-done", unit)
    with open(trace) as f:
        equal(f.read(), f"before {unit}\nstart\nstart\n", "what was run")


def drain_command_that_fails(m):
    """The restart is not begun, and what was done is undone."""
    unit, trace = drain_command(m, 1)
    e = m.await_event("restart-failed", unit)
    assert "'before'" in e["message"], e
    with open(trace) as f:
        equal(f.read(), f"before {unit}\nstart\n", "what was run")
    equal(m.starts(unit), 1, "its starts")


class Haproxy:
    def __init__(self, m, units):
        self.port, self.socket = free_port(), os.path.join(m.dir, "haproxy.sock")
        servers = "".join(f" server {m.units[u][0]} 127.0.0.1:{m.units[u][1]} check inter 50ms rise 2 fall 2\n" for u in units)
        path = os.path.join(m.dir, "haproxy.cfg")
        # No second try: each request that meets a server which is away fails. A check that only waits for a processor does not.
        with open(path, "w") as f:
            f.write(f"global\n stats socket {self.socket} level admin\n maxconn 200\n"
                    "defaults\n mode http\n timeout connect 10s\n timeout client 60s\n timeout server 60s\n timeout check 60s\n"
                    " retries 0\n"
                    f"frontend f\n bind 127.0.0.1:{self.port}\n default_backend b\n"
                    f"backend b\n balance roundrobin\n option httpchk GET /\n{servers}")
        self.process = subprocess.Popen(["haproxy", "-db", "-q", "-f", path])
        m.children.append(self.process)
        while True:
            try:
                if all(s["status"].startswith("UP") for s in self.servers()):
                    return
            except (FileNotFoundError, ConnectionRefusedError):
                pass
            assert self.process.poll() is None, "haproxy ended"
            wait_in(m.dir)

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.socket)
            s.sendall(command.encode() + b"\n")
            return s.makefile().read()

    def servers(self):
        lines = self.ask("show stat").strip().splitlines()
        names = lines[0].lstrip("# ").split(",")
        rows = [dict(zip(names, line.split(","))) for line in lines[1:]]
        return [r for r in rows if r["pxname"] == "b" and r["svname"] != "BACKEND"]


class Load(threading.Thread):
    """Requests, one after another, until it is told to end; what went wrong."""

    def __init__(self, port):
        super().__init__()
        self.port, self.ends, self.versions, self.failed = port, False, [], []
        self.start()

    def run(self):
        while not self.ends:
            try:
                c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                c.request("GET", "/")
                r = c.getresponse()
                text = r.read().decode()
                if r.status != 200:
                    raise OSError(f"status {r.status}")
                self.versions.append(int(text.split()[1]))
            except (OSError, http.client.HTTPException) as e:
                self.failed.append(str(e))
            finally:
                c.close()


def drained_without_a_failed_request(m):
    units = [m.unit("one"), m.unit("two")]
    h = Haproxy(m, units)
    load = [Load(h.port) for _ in range(4)]
    try:
        for u in units:
            m.upgrade(u, "wide")
        m.configure(window() + "".join(
            f'[[drain]]\nunit = "{u}"\nhaproxy = "{h.socket}"\nserver = ["b/{m.units[u][0]}"]\n' for u in units))
        m.start()
        for u in units:
            m.await_event("restart-done", u)
        while not all(x.versions and x.versions[-1] == 2 for x in load):
            assert not any(x.failed for x in load), [x.failed for x in load]
            wait_in(m.dir)
    finally:
        for x in load:
            x.ends = True
            x.join()
    print(f"# {sum(len(x.versions) for x in load)} requests, {sum(len(x.failed) for x in load)} failed", flush=True)
    equal([x.failed for x in load], [[]] * 4, "failed requests")
    equal([s["status"] for s in h.servers()], ["UP", "UP"], "the servers afterwards")
    equal([m.starts(u) for u in units], [2, 2], "their starts")


def agent_killed_in_the_middle(m):
    """While the unit stops, both the agent and its executor are killed. The next agent finds out what became of it, and
    takes the server into use again."""
    gate = os.path.join(m.dir, "gate")
    os.mkfifo(gate)
    unit = m.unit("web", more_service=f"ExecStop=/bin/sh -c 'touch {m.dir}/stopping; read x <{gate}'\n")
    held = hold(m, unit)
    other = m.unit("other")
    h = Haproxy(m, [unit, other])
    m.upgrade(unit, "wide")
    m.configure(window() + f'[[drain]]\nunit = "{unit}"\nhaproxy = "{h.socket}"\nserver = ["b/web"]\n')
    m.start()
    m.await_event("restart-begun", unit)
    while not os.path.exists(os.path.join(m.dir, "stopping")):
        wait_in(m.dir)
    with open(f"/proc/{m.agent.pid}/task/{m.agent.pid}/children") as f:
        children = [int(p) for p in f.read().split()]
    m.stop(signal.SIGKILL)
    for pid in children:
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().strip() == "staunchd":
                    os.kill(pid, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            pass
    equal([s["status"] for s in h.servers() if s["svname"] == "web"][0].split()[0] in ("DRAIN", "DOWN"), True, "it is drained")
    m.start()
    with open(gate, "w") as f:
        f.write("go\n")
    m.await_event("restart-done", unit)
    while [s["status"] for s in h.servers()] != ["UP", "UP"]:
        wait_in(m.dir)
    m.converge()
    equal([m.starts(unit), m.ask(unit), m.count("restart-begun")], [2, 2, 1], "starts, version, and restarts begun")
    equal(os.listdir(held), [], "what is held")
    # It need not wait when it is stopped at the end.
    m.m.put(unit, "[Service]\nExecStart=/bin/true\n")
    m.m.ctl("daemon-reload")


def processes_outside_of_units(m):
    program = os.path.join(m.root, "loose")
    shutil.copy(builds["1"], program)
    m.children.append(subprocess.Popen([program, str(free_port()), os.path.join(m.dir, "loose.ready")]))
    m.await_ready("loose")
    m.units["loose"] = ("loose", 0, program)
    m.upgrade("loose", "wide")
    del m.units["loose"]
    m.configure(window())
    m.start()
    e = m.await_event("window-opened")
    assert "that can't be" in e["message"], e
    m.converge()
    equal(m.children[0].poll(), None, "the process")


CASES = [v for v in list(globals().values()) if callable(v) and getattr(v, "__code__", None) and v.__code__.co_varnames[:1] == ("m",)]
# Those that need to be told that a process ended.
TOLD = [patched_service_that_is_started_again, service_that_was_started_again_before]

if os.geteuid() != 0:
    print("only root may follow process starts")
    sys.exit(77)
for tool in (SYSTEMD, "dbus-daemon", "systemctl", "unshare", "haproxy"):
    if not shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
        print(f"{tool} is not installed")
        sys.exit(77)
os.environ["PATH"] += ":/usr/sbin:/sbin"
build_dir = tempfile.mkdtemp(prefix="staunch-restart-builds-")
builds = {}
failed, left = 0, []
manager = None
try:
    for name, flags in {"1": ["-DVERSION=1"], "wide": ["-DVERSION=2", "-DWIDE"], "bad": ["-DVERSION=3", "-DWIDE", "-DBAD"],
                        "quits": ["-DVERSION=-1"], "short": ["-DVERSION=4", "-DWIDE", "-DSHORT"],
                        "wrong": ["-DVERSION=5", "-DWIDE", "-DWRONG=1000000000"],
                        "late": ["-DVERSION=6", "-DWIDE", "-DWRONG=2"], "next": ["-DVERSION=7"]}.items():
        builds[name] = os.path.join(build_dir, name)
        subprocess.run([*CC, "-O2", "-Wl,--build-id", *flags, "-o", builds[name], SOURCE], check=True)
    try:
        manager = Manager()
    except OSError as e:
        print(f"no cgroup can be made here: {e}")
        sys.exit(77)
    if not manager.ready():
        print("systemd does not run in user mode here")
        sys.exit(77)
    only = sys.argv[4:]
    for case in CASES:
        if only and case.__name__ not in only:
            continue
        if case in TOLD and not told_of_processes():
            left.append(case.__name__)
            continue
        m = Machine(manager)
        try:
            case(m)
            print(f"ok {case.__name__}", flush=True)
        except AssertionError as e:
            failed += 1
            print(f"FAILED: {case.__name__}: {e}", flush=True)
            for name in ("log", "events.jsonl"):
                path = os.path.join(m.dir, name)
                if os.path.exists(path):
                    with open(path) as f:
                        print("".join("  | " + line for line in f.read().splitlines(True)[-14:]), flush=True)
        finally:
            m.close()
finally:
    if manager:
        manager.close()
    shutil.rmtree(build_dir)
if left:
    print("a container is told of no process's start or end; without that were not run: " + ", ".join(left), flush=True)
sys.exit(1 if failed else 77 if left else 0)
