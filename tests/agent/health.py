#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""health.py STAUNCHD STAUNCH SERVER.C: the agent watches over patches of a server under load: bad ones it takes out by itself,
good ones it leaves, and it does not mistake noise for harm."""

import http.client
import json
import os
import subprocess
import sys
import threading

from machine import Builds, Machine, equal, only_root, run

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../cli"))

import shape  # noqa: E402

STAUNCHD, STAUNCH, SERVER = sys.argv[1:4]
NAME = f"health{os.getpid()}"  # whose health it is: not that of another test's
BEFORE = 100  # results before a patch that the rule looks at


class Server:
    """One process of the machine's program."""

    def __init__(self, m):
        self.process = subprocess.Popen([m.program], stdout=subprocess.PIPE, text=True, bufsize=1)
        self.pid = self.process.pid
        self.port = int(self.process.stdout.readline())

    def ask(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            c.request("GET", path)
            return c.getresponse().status
        finally:
            c.close()

    def probed(self, n):
        """Waits for so many probes more."""
        for _ in range(n):
            equal(self.process.stdout.readline(), "probe\n", "what the server says")

    def end(self):
        if self.process.poll() is None:
            try:
                self.ask("/stop")
            except (http.client.HTTPException, OSError):
                pass
        self.process.wait()
        self.process.stdout.close()


class Load:
    """Requests one after another, until it is stopped."""

    def __init__(self, server):
        self.server, self.answers, self.failed, self.stopped = server, 0, 0, False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopped:
            try:
                self.failed += self.server.ask("/work?1") != 200
            except (http.client.HTTPException, OSError):
                self.failed += 1
            self.answers += 1

    def stop(self):
        self.stopped = True
        self.thread.join()


def policy(server, probe="", interval="50ms"):
    return f"""
[health]
sample_interval = "100ms"
[[probe]]
process = "{NAME}"
name = "answer"
{probe or f'http = "http://127.0.0.1:{server.port}/probe"'}
interval = "{interval}"
timeout = "5s"
"""


def begin(m):
    """A server under load, observed for so long that a patch can be judged."""
    server = Server(m)
    m.targets.append(server)
    m.configure(policy(server))
    m.start()
    load = Load(server)
    m.loads.append(load)
    server.probed(BEFORE)
    return server, load


def health(m):
    return m.ask("health")["subjects"][0]


def slow_patch_is_taken_out(m):
    server, load = begin(m)
    m.install(3)
    m.wake()
    m.await_event("patch-installed", pid=server.pid)
    e = m.await_event("health-degraded")
    assert e["fields"]["STAUNCH_MEASURE"] == "answer" and "response went from" in e["message"], e
    m.await_event("patch-quarantined")
    m.await_event("patch-reverted", pid=server.pid)
    load.stop()
    equal(load.failed, 0, f"failed requests of {load.answers}")
    equal(m.ask("converge")["ok"], True, "another round")
    equal(m.kinds().count("patch-installed"), 1, "times that it was patched")
    listed = json.loads(staunch(3, "list", "--json", "--state", os.path.join(m.dir, "state")))
    assert "response went from" in listed["quarantine"][0]["reason"], listed


def good_patch_is_kept(m):
    server, load = begin(m)
    m.install(2)
    m.wake()
    m.await_event("patch-installed", pid=server.pid)
    while not (have := health(m))["state"]:  # it is told before it is observed
        server.probed(1)
    equal(have["state"], "observing", "the state of the patch")
    assert NAME in staunch(0, "health", "--runtime", os.path.join(m.dir, "run"))
    told = json.loads(staunch(0, "health", "--json", "--runtime", os.path.join(m.dir, "run")))
    shape.check(shape.SHAPES["health"], told, "")
    assert told["subjects"], have
    shape.check(shape.SHAPES["history"], json.loads(staunch(0, "history", "--json", "--state", os.path.join(m.dir, "state"))), "")
    for line in staunch(0, "events", "--json", "--file", m.events_file).splitlines():
        shape.check(shape.SHAPES["event"], json.loads(line), "")
    # The agent is killed and goes on where it stopped; it knows what was before from its state.
    m.stop()
    m.start()
    m.await_event("health-confirmed")
    have = health(m)
    equal(have["state"], "confirmed", "the state of the patch")
    assert "answer" in {s["name"] for s in have["series"]}, have
    load.stop()
    equal(load.failed, 0, f"failed requests of {load.answers}")
    assert "health-degraded" not in m.kinds(), m.kinds()
    equal(m.kinds().count("patch-installed"), 1, "times that it was patched")


def noisy_service_is_left_alone(m):
    m.builds = {1: builds["noisy 1"], 2: builds["noisy 2"]}
    m.install(1)
    server, load = begin(m)
    m.install(2)
    m.wake()
    m.await_event("patch-installed", pid=server.pid)
    m.await_event("health-confirmed")
    assert "health-degraded" not in m.kinds(), m.kinds()
    load.stop()


def failing_probe_takes_a_patch_out(m):
    server, load = begin(m)
    m.install(5)
    m.wake()
    m.await_event("patch-installed", pid=server.pid)
    e = m.await_event("health-degraded")
    assert "times in a row" in e["message"], e
    m.await_event("patch-reverted", pid=server.pid)
    load.stop()
    equal(server.ask("/work?1"), 200, "the server's answer")


def crashing_patch_is_taken_out(m):
    server, load = begin(m)
    others = [Server(m) for _ in range(3)]
    m.targets += others
    m.install(9)
    equal(m.ask("converge")["ok"], True, "the round")
    for victim in others:
        try:
            victim.ask("/work?7")
        except (http.client.HTTPException, OSError):
            pass
        if "patch-quarantined" in m.kinds():
            break
        m.await_event("process-crashed", pid=victim.pid)
    m.await_event("patch-reverted", pid=server.pid)
    load.stop()
    equal(load.failed, 0, f"failed requests of {load.answers}")
    equal(server.ask("/work?7"), 200, "what the patch crashed at")


def rollback_may_be_left_to_the_administrator(m):
    server = Server(m)
    m.targets.append(server)
    m.configure(policy(server).replace("[health]", "[health]\nautomatic_rollback = false"))
    m.start()
    server.probed(BEFORE)
    m.install(5)
    m.wake()
    m.await_event("health-degraded")
    equal(m.ask("converge")["ok"], True, "another round")
    equal(server.ask("/work?1"), 500, "the answer of the patched server")
    assert "patch-quarantined" not in m.kinds()


def probes_of_each_kind(m):
    server = Server(m)
    m.targets.append(server)
    port = server.port
    cases = [
        (f'http = "http://127.0.0.1:{port}/probe"\nexpect = "yes"', None),
        (f'http = "http://127.0.0.1:{port}/probe"\nexpect = "200"', None),
        (f'http = "http://127.0.0.1:{port}/probe"\nexpect = "204"', "status 200"),
        (f'http = "http://127.0.0.1:{port}/probe"\nexpect = "no"', "expected text"),
        (f'http = "https://127.0.0.1:{port}/probe"\ntimeout = "2s"', ""),
        (f'tcp = "127.0.0.1:{port}"', None),
        (f'tcp = "localhost:{port}"', None),
        (f'tcp = "127.0.0.1:{port}"\nexpect = "SSH-2"\ntimeout = "300ms"', "in time"),
        ('tcp = "127.0.0.1:1"', ""),
        ('command = ["/usr/bin/id", "-un"]\nexpect = "nobody"', None),
        ('command = ["/bin/sh", "-c", "echo oh no >&2; exit 3"]', "code 3: oh no"),
        ('command = ["/bin/sh", "-c", "exec cat /proc/1/mem"]', ""),
        ('command = ["/bin/sh", "-c", "while :; do :; done"]\ntimeout = "300ms"', "did not end within"),
        ('command = ["/nonexistent"]', "No such file"),
    ]
    text = ""
    for i, (probe, _) in enumerate(cases):
        text += f'[[probe]]\nprocess = "{NAME}"\nname = "{i}"\ninterval = "100ms"\n{probe}\n'
        if "timeout" not in probe:
            text += 'timeout = "20s"\n'
    m.configure(text)
    m.start()
    failing = {str(i) for i, (_, failed) in enumerate(cases) if failed is not None}
    for i in sorted(failing, key=int):
        m.seen = 0
        e = m.await_event("probe-failed", probe=i)
        assert cases[int(i)][1] in e["fields"]["STAUNCH_DETAIL"], (i, e)
    told = {e["fields"]["STAUNCH_PROBE"] for e in map(json.loads, open(m.events_file)) if e["kind"] == "probe-failed"}
    equal(told, failing, "the probes that fail")


def net_that_is_killed(m):
    server, load = begin(m)
    net = m.child("staunch-net")
    os.kill(net, 9)
    m.await_event("helper-failed")
    server.probed(3)
    assert m.child("staunch-net") != net
    load.stop()


def staunch(code, *args):
    r = subprocess.run([STAUNCH, *args], capture_output=True, text=True)
    if r.returncode != code:
        raise AssertionError(f"staunch {' '.join(args)}: exit code {r.returncode}, expected {code}: {r.stderr}{r.stdout}")
    return r.stdout


CASES = [slow_patch_is_taken_out, good_patch_is_kept, noisy_service_is_left_alone, failing_probe_takes_a_patch_out,
         crashing_patch_is_taken_out, rollback_may_be_left_to_the_administrator, probes_of_each_kind, net_that_is_killed]
TOLD = [crashing_patch_is_taken_out]


class Loaded(Machine):
    def __init__(self):
        super().__init__(STAUNCHD, builds, name=NAME)
        self.loads = []

    def close(self):
        for load in self.loads:
            load.stop()
        super().close()


only_root()
with Builds() as builds:
    for version in (1, 2, 3, 5, 9):
        builds.compile(version, SERVER, f"-DBUILD={version}")
    for version in (1, 2):
        builds.compile(f"noisy {version}", SERVER, f"-DBUILD={version}", "-DNOISE")
    code = run(CASES, sys.argv[4:], Loaded, TOLD)
sys.exit(code)
