#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""evidence.py STAUNCH STAUNCHD: what a machine knows of its CVEs, on packages that the test builds, installs with
dpkg below a folder of its own, and runs."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../agent"))
from machine import ENV, EPOCH, PROGRAM, Builds, Machine, Target, equal, one_image, run
from told import told_of_processes

STAUNCH, STAUNCHD = sys.argv[1:3]

if os.geteuid() != 0 or not shutil.which("dpkg"):
    print("needs root, and dpkg")
    sys.exit(77)


def has_birth(path):
    return int(subprocess.run(["stat", "-c", "%W", path], capture_output=True, text=True).stdout) > 0


def exposed_then_hotpatched_then_current(m):
    m.install(1)
    t = m.target()
    m.install(2)
    equal(t.ask(100), 101, "the old code")
    answer = m.cve(3, "CVE-2099-1001")
    image = one_image(answer, t.pid)
    equal(answer["cves"][0]["state"], "exposed-in-memory", "the state")
    equal((image["version"], image["runs_version"]), ("1.0-1", "1.0-1"), "what runs")
    package = answer["cves"][0]["packages"][0]
    equal((package["package"], package["source"], package["installed"], package["fixed"], package["fix_on_disk"]),
          ("evidence-target", "evidence-source", "1.0-2", "1.0-2", True), "the package")
    equal(m.cve(0, "CVE-2099-1000")["cves"][0]["state"], "current", "a CVE that the first version has the fix of")
    names = [c["cve"] for c in m.cve(3)["cves"]]
    equal(names, ["CVE-2099-1001", "CVE-2099-1002"], "all that are known")
    m.staunch(4, "converge", "--root", m.root)
    equal(t.ask(100), 102, "the new code")
    answer = m.cve(0, "cve-2099-1001")
    image = one_image(answer, t.pid)
    equal((image["state"], image["version"], image["runs_version"]), ("hotpatched", "1.0-1", "1.0-2"), "the process")
    equal(m.cve(0)["counts"]["hotpatched"], 2, "hotpatched CVEs")
    fresh = m.target()
    equal(one_image(m.cve(0, "CVE-2099-1001"), fresh.pid)["state"], "current", "a process that started after it")
    # A later upgrade: what the patch led to is now replaced itself.
    m.install(3)
    image = one_image(m.cve(3, "CVE-2099-1003"), fresh.pid)
    equal((image["state"], image["version"]), ("exposed-in-memory", "1.0-2"), "the second process")
    m.staunch(0, "revert", "--pid", str(t.pid))
    image = one_image(m.cve(3, "CVE-2099-1001"), t.pid)
    equal((image["state"], image["version"]), ("exposed-in-memory", "1.0-1"), "a reverted process")


def code_that_ran_before_the_patch(m):
    """Part of what changed runs once, at the start: nothing tells whether that is where the fix is."""
    m.builds = Builds("base = v * NEW + 1; base ^= v; base += v >> 3; base ^= v << 5;")
    try:
        m.install(1)
        t = m.target()
        m.install(2)
        m.staunch(4, "converge", "--root", m.root)
        equal(t.ask(100), 102, "the new code")
        image = one_image(m.cve(5, "CVE-2099-1001"), t.pid)
        equal((image["state"], image["runs_version"]), ("unknown", "1.0-2"), "the process that was patched")
        assert "startup-only" in image["why"], image
        fresh = m.target()
        equal(one_image(m.cve(5, "CVE-2099-1001"), fresh.pid)["state"], "current", "one that started after the upgrade")
    finally:
        m.builds.close()


def scripts_that_an_interpreter_has_read(m):
    """A patch changes no module that a process keeps in memory; the same program by another name reads none."""
    m.scripts = ["/usr/lib/python3/dist-packages/evidence.py"]
    m.program = "/usr/bin/python3.99"
    m.install(1)
    t = m.target()
    m.install(2)
    m.staunch(4, "converge", "--root", m.root)
    equal(t.ask(100), 102, "the new code")
    image = one_image(m.cve(5, "CVE-2099-1001"), t.pid)
    equal((image["state"], image["runs_version"]), ("unknown", "1.0-2"), "the interpreter that was patched")
    assert "scripts" in image["why"], image
    fresh = m.target()
    equal(one_image(m.cve(5, "CVE-2099-1001"), fresh.pid)["state"], "current", "one that started after the upgrade")


def scripts_beside_a_program(m):
    m.scripts = ["/usr/lib/python3/dist-packages/evidence.py"]
    m.install(1)
    t = m.target()
    m.install(2)
    m.staunch(4, "converge", "--root", m.root)
    equal(one_image(m.cve(0, "CVE-2099-1001"), t.pid)["state"], "hotpatched", "a program that is no interpreter")


def process_that_starts_itself_again_is_as_old_as_before(m):
    m.install(1)
    t = m.target()
    m.install(2)
    equal(t.start_itself_again(), 101, "the code after the first start")
    m.install(3)
    equal(t.start_itself_again(), 101, "the code after the second start")
    for cve in ("CVE-2099-1001", "CVE-2099-1003"):
        image = one_image(m.cve(3, cve), t.pid)
        equal((image["state"], image["version"]), ("exposed-in-memory", "1.0-1"), cve)


def log_tells_where_dates_do_not(m):
    m.install(1, dated=False)
    if not has_birth(m.path(PROGRAM)):
        print("  (this file system keeps no time of birth: the log cannot tell)")
        return
    t = m.target()
    m.install(2, dated=False)
    t.start_itself_again()
    m.install(3, dated=False)
    t.start_itself_again()
    image = one_image(m.cve(3, "CVE-2099-1001"), t.pid)
    equal((image["version"], image["version_from"]), ("1.0-1", "dpkg-log"), "the witness")
    # The same in rotated parts.
    log = m.path("/var/log/dpkg.log")
    os.rename(log, log + ".1")
    subprocess.run(["gzip", log + ".1"], check=True)
    os.rename(log + ".1.gz", log + ".7.gz")
    image = one_image(m.cve(3, "CVE-2099-1001"), t.pid)
    equal((image["version"], image["version_from"]), ("1.0-1", "dpkg-log"), "the witness in a rotated log")


def nothing_is_guessed(m):
    m.install(1, dated=False, log=False)
    t = m.target()
    m.install(2, dated=False, log=False)
    answer = m.cve(5, "CVE-2099-1001")
    image = one_image(answer, t.pid)
    equal((image["state"], image["version"], image["version_from"]), ("unknown", None, "none"), "the process")
    assert image["why"], image
    equal(m.cve(5, "CVE-2099-9999")["cves"][0]["state"], "unknown", "a CVE that nothing names")


def witnesses_that_disagree(m):
    m.install(1, log=False)
    t = m.target()
    m.install(2)
    # The file has the date of 1.0-1; a log that says it was born with 1.0-2 is about another file.
    born = int(subprocess.run(["stat", "-L", "-c", "%W", f"/proc/{t.pid}/exe"], capture_output=True,
                              text=True).stdout)
    if born <= 0:
        print("  (this file system keeps no time of birth)")
        return
    when = subprocess.run(["date", "-d", f"@{born}", "+%F %T"], capture_output=True, text=True, env=ENV).stdout.strip()
    with open(m.path("/var/log/dpkg.log"), "w") as f:
        f.write(f"{when} upgrade evidence-target:amd64 1.0-1 1.0-2\n{when} status unpacked evidence-target:amd64 1.0-2\n")
    image = one_image(m.cve(5, "CVE-2099-1001"), t.pid)
    equal((image["state"], image["version"]), ("unknown", None), "the process")


def file_that_is_not_its_package_s(m):
    m.install(2)
    shutil.copy(m.builds.path(1), m.path(PROGRAM) + ".new")
    os.rename(m.path(PROGRAM) + ".new", m.path(PROGRAM))
    t = m.target()
    image = one_image(m.cve(5, "CVE-2099-1001"), t.pid)
    equal((image["state"], image["version"]), ("unknown", None), "a file that somebody put there")


def agent_records_what_it_sees(m):
    """With no log and no dates, only who saw the build while it was current can tell. Events say it, too."""
    m.install(1, dated=False, log=False)
    t, crashing = m.target(), m.target()
    hook, config = os.path.join(m.dir, "hook"), os.path.join(m.dir, "staunch.toml")
    with open(hook, "w") as f:
        f.write('#!/bin/sh\necho "$STAUNCH_PACKAGE: $STAUNCH_CVE" >"$0.$$" && mv "$0.$$" "$0.told"\n')
    os.chmod(hook, 0o755)
    with open(config, "w") as f:
        f.write(f'[[hook]]\nevents = ["patch-installed"]\ncommand = ["{hook}"]\nuser = "root"\n')
    agent = subprocess.Popen([STAUNCHD, "--config", config, "--state", m.state, "--runtime",
                              os.path.join(m.dir, "run"), "--events", os.path.join(m.dir, "events"), "--root", m.root],
                             stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=ENV)
    try:
        # The answer to 'status' comes once it runs; the one to 'converge' after a round.
        wait_for(os.path.join(m.dir, "run", "control"), agent)
        equal(ask(m, "converge")["ok"], True, "a round")
        m.install(2, dated=False, log=False)
        equal(ask(m, "converge")["ok"], True, "the round after the upgrade")
        wait_for(hook + ".told", agent)
        crashing.process.send_signal(signal.SIGSEGV)
        while told_of_processes() and "process-crashed" not in open(os.path.join(m.dir, "events")).read():
            wait_for(os.path.join(m.dir, "nothing"), agent, tries=1)
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait()
    equal(t.ask(100), 102, "the new code")
    said = {e["kind"]: e["fields"] for e in map(json.loads, open(os.path.join(m.dir, "events")))}
    kinds = ["patch-ready", "patch-installed"]
    if told_of_processes():
        kinds.append("process-crashed")
        equal([said["process-crashed"][k] for k in ("STAUNCH_PID", "STAUNCH_COMM")], [str(crashing.pid), "evidence-target"],
              "who crashed")
    for kind in kinds:
        equal((said[kind]["STAUNCH_PACKAGE"], said[kind]["STAUNCH_CVE"]),
              ("evidence-target", ["CVE-2099-1001", "CVE-2099-1002"]), f"what {kind} fixes")
    equal(open(hook + ".told").read(), "evidence-target: CVE-2099-1001 CVE-2099-1002\n", "the hook's environment")
    for more, lines in ((("--cve", "cve-2099-1002"), len(kinds) + 1), (("--cve", "CVE-2099-1000"), 0), (("--package", "evidence-target"), len(kinds) + 1),
                        (("--package", "evidence"), 0)):
        out = m.staunch(0, "events", "--file", os.path.join(m.dir, "events"), *more)
        equal(len(out.splitlines()), lines, f"events with {more}")
    out = m.staunch(0, "events", "--file", os.path.join(m.dir, "events"), "--id", "19")
    assert "evidence-target: CVE-2099-1001, CVE-2099-1002" in out, out
    m.staunch(2, "events", "--cve", "1001")
    image = one_image(m.cve(0, "CVE-2099-1001"), t.pid)
    equal((image["state"], image["version"], image["version_from"]), ("hotpatched", "1.0-1", "recorded"), "the process")
    # What the patch led to is known after it was replaced, too.
    m.install(3, dated=False, log=False)
    image = one_image(m.cve(0, "CVE-2099-1001"), t.pid)
    equal((image["state"], image["runs_version"]), ("hotpatched", "1.0-2"), "after another upgrade")
    image = one_image(m.cve(3, "CVE-2099-1003"), t.pid)
    equal(image["state"], "exposed-in-memory", "the next CVE")


def restart_tells_what_it_is_for(m):
    """The state keeps it with what is pending, and the window's event says it."""
    m.builds = Wide
    m.install(1)
    m.target()
    m.install(2)
    says_what_it_is_for(m, False)


def window_that_is_open_when_the_agent_starts(m):
    """It is told once it is known what is to be restarted in it."""
    m.builds = Wide
    m.install(1)
    m.target()
    m.install(2)
    says_what_it_is_for(m, True)


class Wide:
    """Builds of which the second is no patch."""
    path = staticmethod(lambda i: builds.path("wide" if i == 2 else i))


def says_what_it_is_for(m, open_before):
    config, events = os.path.join(m.dir, "staunch.toml"), os.path.join(m.dir, "events")
    window = '[[window]]\nname = "now"\nstart = "2026-01-01 00:00"\nduration = "24h"\nrecur = "Day"\ntime_zone = "UTC"\n'
    with open(config, "w") as f:
        f.write('[restart]\nreboot_required = "/nonexistent/required"\n' + (window if open_before else ""))
    agent = subprocess.Popen([STAUNCHD, "--config", config, "--state", m.state, "--runtime", os.path.join(m.dir, "run"),
                              "--events", events, "--root", m.root], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             env=dict(ENV, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent"))
    try:
        wait_for(os.path.join(m.dir, "run", "control"), agent)
        equal(ask(m, "converge")["ok"], True, "a round")
        if not open_before:
            with open(config, "a") as f:
                f.write(window)
            ask(m, "reload")
        while "window-opened" not in open(events).read():
            wait_for(os.path.join(m.dir, "nothing"), agent, tries=1)
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait()
    said = {e["kind"]: e["fields"] for e in map(json.loads, open(events))}
    for kind in "restart-pending", "window-opened":
        equal((said[kind].get("STAUNCH_PACKAGE"), said[kind].get("STAUNCH_CVE")),
              ("evidence-target", ["CVE-2099-1001", "CVE-2099-1002"]), f"what {kind} is for")
    assert "window-opened" in m.staunch(0, "events", "--file", events, "--cve", "CVE-2099-1002"), "the window"


def file_of_no_package_is_looked_up_once(m):
    """That no package has the path is found again only when dpkg has changed something."""
    m.install(1)
    path, events = m.path("/usr/local/bin/own"), os.path.join(m.dir, "events")
    os.makedirs(os.path.dirname(path))
    os.mkdir(m.state)
    open(os.path.join(m.state, "state.db"), "w").close()

    def package():
        """That the event of the next patch names."""
        for i in (1, 2):
            shutil.copy(m.builds.path(i), path + ".new")
            os.rename(path + ".new", path)
            if i == 1:
                m.targets.append(Target(path))
        open(events, "w").close()
        m.staunch(4, "converge", "--root", m.root, "--state", m.state, "--events", events)
        told = [e for e in map(json.loads, open(events)) if e["id"] == 19]
        equal(len(told), 1, "patches")
        return told[0]["fields"].get("STAUNCH_PACKAGE")

    equal(package(), None, "the package of a file of one's own")
    with open(m.path("/var/lib/dpkg/info/evidence-target.list"), "a") as f:
        f.write("/usr/local/bin/own\n")
    equal(package(), None, "while dpkg's status is the same")
    os.utime(m.path("/var/lib/dpkg/status"))
    equal(package(), "evidence-target", "when it is another one")


def tracker_says_what_no_update_fixes(m):
    m.install(2)
    t = m.target()
    data = os.path.join(m.dir, "GENERIC")
    text = ("VERSION 1\nCVE-2099-2000,,An open bug, with a comma\nCVE-2099-2001,,Of something else\n"
            "CVE-2099-1002,,Fixed\nCVE-2099-2002,,Fixed in this version\n\n"
            "evidence-source,0,S  F,1.0-9,\nother-source,1,SHR ,,\nevidence-source,2,S   ,1.0-9,\n"
            "evidence-source,3,S   ,2.0,1.0-2 1.0-2+x\n\nevidence-source,evidence-target\n\n")
    with open(data, "wb") as f:
        f.write(zlib.compress(text.encode()))
    answer = m.cve(3, "--tracker", data, "CVE-2099-2000")
    package = answer["cves"][0]["packages"][0]
    equal((answer["cves"][0]["state"], package["fix_available"], package["evidence"], package["fixed"]),
          ("exposed", True, "tracker", "1.0-9"), "an open CVE")
    equal(one_image(answer, t.pid)["state"], "exposed", "its process")
    equal(m.cve(0, "--tracker", data, "CVE-2099-2001")["cves"][0]["state"], "not-affected", "another package's")
    # The tracker's data are older than the update.
    equal(m.cve(0, "--tracker", data, "CVE-2099-1002")["cves"][0]["state"], "current", "one that the changelog names")
    equal(m.cve(0, "--tracker", data, "CVE-2099-2002")["cves"][0]["state"], "current", "one that is fixed here")
    equal(m.cve(5, "--tracker", data, "CVE-2099-2003")["cves"][0]["state"], "unknown", "one that it does not name")
    equal([c["cve"] for c in m.cve(3, "--tracker", data)["cves"]], ["CVE-2099-2000"], "all that are known")
    # Where debsecan's configuration says.
    os.makedirs(m.path("/etc/default"))
    with open(m.path("/etc/default/debsecan"), "w") as f:
        f.write(f"# Of debsecan.\nSUITE=GENERIC\nSOURCE=\"file://{m.dir}\"\n")
    equal(m.cve(3, "CVE-2099-2000")["tracker"], data, "the tracker's place")
    with open(data, "w") as f:
        f.write("VERSION 2\n")
    m.staunch(1, "cve", "--root", m.root, "--tracker", data)


STATUSES = {"not_affected", "affected", "fixed", "under_investigation"}
JUSTIFICATIONS = {"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
                  "vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
IRI = re.compile(r"[a-z][a-z0-9+.-]*:[^\s<>\"{}|^`\\]+")


def keys(value, required, optional, where):
    assert isinstance(value, dict), (where, value)
    missing, unknown = required - value.keys(), value.keys() - required - optional
    assert not missing and not unknown, f"{where}: missing {missing}, unknown {unknown}"


def check_component(c, where, more=frozenset()):
    keys(c, {"@id"}, {"identifiers", "hashes"} | more, where)
    assert IRI.fullmatch(c["@id"]), c
    for name, value in c.get("hashes", {}).items():
        assert name == "sha-256" and re.fullmatch(r"[0-9a-f]{64}", value), c


def check_openvex(j):
    """What the OpenVEX 0.2.0 specification and its schema require."""
    keys(j, {"@context", "@id", "author", "timestamp", "version", "statements"}, {"role", "last_updated", "tooling"},
         "document")
    equal(j["@context"], "https://openvex.dev/ns/v0.2.0", "the context")
    assert IRI.fullmatch(j["@id"]) and TIME.fullmatch(j["timestamp"]) and j["author"] and j["version"] >= 1, j
    assert j["statements"], j
    seen = set()
    for s in j["statements"]:
        keys(s, {"vulnerability", "status", "products"},
             {"@id", "version", "timestamp", "last_updated", "supplier", "status_notes", "justification",
              "impact_statement", "action_statement", "action_statement_timestamp"}, "statement")
        keys(s["vulnerability"], {"name"}, {"@id", "description", "aliases"}, "vulnerability")
        assert re.fullmatch(r"CVE-\d{4}-\d{4,}", s["vulnerability"]["name"]), s
        assert s["status"] in STATUSES and TIME.fullmatch(s["timestamp"]), s
        equal(("justification" in s) + ("impact_statement" in s), int(s["status"] == "not_affected"), "reasons given")
        assert s.get("justification", "component_not_present") in JUSTIFICATIONS, s
        equal("action_statement" in s, s["status"] == "affected", "an action for what is affected")
        for p in s["products"]:
            check_component(p, "product", {"subcomponents"})
            for c in p.get("subcomponents", []):
                check_component(c, "subcomponent")
            key = (s["vulnerability"]["name"], p["@id"])
            assert key not in seen, f"two statements about {key}"
            seen.add(key)


def product(version):
    return f"pkg:deb/debian/evidence-target@{version}?arch=amd64"


def statements(m):
    j = json.loads(m.staunch(0, "report", "--format", "openvex", "--root", m.root, "--state", m.state))
    check_openvex(j)
    return {(s["vulnerability"]["name"], s["products"][0]["@id"]): s for s in j["statements"]}


def report_for_scanners(m):
    m.install(1)
    m.staunch(5, "report", "--format", "openvex", "--root", m.root)
    a, b = m.target(), m.target()
    m.install(2)
    said = statements(m)
    s = said["CVE-2099-1001", product("1.0-1")]
    equal(s["status"], "affected", "the version that runs")
    assert "staunch converge" in s["action_statement"] and str(a.pid) in s["status_notes"], s
    equal(said["CVE-2099-1001", product("1.0-2")]["status"], "fixed", "the version on disk")
    # One of two is patched: the version is affected all the same.
    m.staunch(4, "converge", "--root", m.root, "--pid", str(a.pid))
    s = statements(m)["CVE-2099-1001", product("1.0-1")]
    equal(s["status"], "affected", "a version of which one process is patched")
    m.staunch(4, "converge", "--root", m.root, "--pid", str(b.pid))
    s = statements(m)["CVE-2099-1001", product("1.0-1")]
    equal((s["status"], s["justification"]), ("not_affected", "inline_mitigations_already_exist"), "all patched")
    parts = s["products"][0]["subcomponents"]
    equal(len(parts), 2, "the patches named")
    # The hash is of what lies in the process: the same for both, another one when a byte is another.
    hashes = {p["hashes"]["sha-256"] for p in parts}
    equal(len(hashes), 1, "hashes of two processes with the same patch")
    j = json.loads(m.staunch(0, "report", "--format", "json", "--root", m.root, "--state", m.state))
    image = one_image({"cves": j["cves"][:1]}, a.pid)
    equal(image["code_sha256"], hashes.pop(), "the hash in both formats")
    spoil(a.pid, image)
    said = statements(m)["CVE-2099-1001", product("1.0-1")]
    equal(len({p["hashes"]["sha-256"] for p in said["products"][0]["subcomponents"]}), 2, "hashes after a change")
    assert "CVE-2099-1001" in m.staunch(0, "report", "--root", m.root), "the table"
    m.staunch(2, "report", "--format", "xml")


def spoil(pid, image):
    """Changes one byte of the code that the patch brought: the last of the function `answer`, padding or not, is never
    run again by this test."""
    j = json.loads(subprocess.run([STAUNCH, "status", "--json", "--pid", str(pid)], capture_output=True,
                                  check=True).stdout)
    patch = next(p for p in j["processes"][0]["patches"] if p["digest"] == image["patch"])
    base = int(patch["shadow_base"], 16)
    for line in open(f"/proc/{pid}/maps"):
        span, flags = line.split()[:2]
        low, high = (int(x, 16) for x in span.split("-"))
        # The code of the shadow: the executable mapping that no file of the package backs, next to its base.
        if "x" in flags and low >= base and low - base < 1 << 24 and PROGRAM not in line:
            with open(f"/proc/{pid}/mem", "r+b", buffering=0) as f:
                f.seek(low)
                code = f.read(high - low)
                at = next(i for i, c in enumerate(code) if c not in (0, 0xcc))
                f.seek(low + at)
                f.write(bytes([code[at] ^ 1]))
            return
    raise AssertionError("the patch's code is nowhere: " + open(f"/proc/{pid}/maps").read())


def upgrade_is_assessed_before_it_is_made(m):
    m.install(1)
    t = m.target()
    deb = m.make_deb(3)
    before = sorted(os.listdir(m.dir))
    j = json.loads(m.staunch(0, "assess", "--json", "--root", m.root, "--state", m.state, deb))
    equal([(u["package"], u["installed"], u["candidate"], u["outcome"]) for u in j["upgrades"]],
          [("evidence-target", "1.0-1", "1.0-3", "hotpatch")], "the upgrade")
    u = j["upgrades"][0]
    equal((u["cves"], u["cves_known"]), (["CVE-2099-1003", "CVE-2099-1001", "CVE-2099-1002"], True), "CVEs")
    equal([p["pid"] for p in u["images"][0]["processes"]], [t.pid], "processes")
    equal(sorted(os.listdir(m.dir)), before, "files after it")
    equal(t.ask(100), 101, "the code of the process")
    # One that was started before the last upgrade is judged by what it runs.
    m.install(2)
    b = m.target()
    u = json.loads(m.staunch(0, "assess", "--json", "--root", m.root, "--state", m.state, deb))["upgrades"][0]
    equal(sorted((i["version"], [p["pid"] for p in i["processes"]]) for i in u["images"]),
          [("1.0-1", [t.pid]), ("1.0-2", [b.pid])], "builds that run")
    equal(u["cves"], ["CVE-2099-1003"], "what it fixes on disk")
    # Something that no patch can do.
    shutil.copy(m.builds.path("wide"), m.builds.path(3) + ".kept")
    os.rename(m.builds.path(3), m.builds.path(3) + ".good")
    os.rename(m.builds.path(3) + ".kept", m.builds.path(3))
    try:
        wide = m.make_deb(3)
    finally:
        os.rename(m.builds.path(3) + ".good", m.builds.path(3))
    out = m.staunch(3, "assess", "--root", m.root, "--state", m.state, wide)
    assert "restart" in out and "tls" in out and "1 to be restarted" in out, out
    m.staunch(1, "assess", "--root", m.root, os.path.join(m.dir, "none.deb"))


def apt_names_upgrades(m):
    if not shutil.which("apt-get") or not shutil.which("dpkg-scanpackages"):
        print("  (no apt-get or dpkg-scanpackages here)")
        return
    m.install(1)
    t = m.target()
    archive = os.path.join(m.dir, "archive")
    for d in (archive, m.path("/etc/apt"), m.path("/var/lib/apt/lists/partial"), m.path("/var/cache/apt/archives/partial")):
        os.makedirs(d)
    shutil.move(m.make_deb(2), archive)
    with open(os.path.join(archive, "Packages"), "w") as f:
        subprocess.run(["dpkg-scanpackages", "."], cwd=archive, stdout=f, stderr=subprocess.DEVNULL, check=True)
    os.chmod(m.dir, 0o755)
    with open(m.path("/etc/apt/sources.list"), "w") as f:
        f.write(f"deb [trusted=yes] file:{archive} ./\n")
    subprocess.run(["apt-get", "-qq", "-o", f"Dir={m.root}", "-o", f"Dir::State::status={m.root}/var/lib/dpkg/status",
                    "-o", "APT::Sandbox::User=root", "update"], check=True, env=ENV)
    j = json.loads(m.staunch(5, "assess", "--json", "--root", m.root, "--state", m.state))
    equal([(u["package"], u["candidate"], u["outcome"], u["file"]) for u in j["upgrades"]],
          [("evidence-target", "1.0-2", "unknown", None)], "what apt has")
    equal(m.cve(0)["cves"], [], "what is known of the installed version")
    j = json.loads(m.staunch(0, "assess", "--json", "--download", "--root", m.root, "--state", m.state, "evidence-target"))
    equal([(u["outcome"], u["cves"]) for u in j["upgrades"]], [("hotpatch", ["CVE-2099-1001", "CVE-2099-1002"])],
          "what was downloaded")
    assert not os.path.exists(j["upgrades"][0]["file"]), "the download was left"
    equal(json.loads(m.staunch(0, "assess", "--json", "--root", m.root, "--state", m.state, "other"))["upgrades"], [],
          "another package")
    equal(m.complaint, "staunch assess: apt has no upgrade of 'other'\n", "of which apt has no upgrade")
    equal(t.ask(100), 101, "the code of the process")


def usage(m):
    m.staunch(2, "cve", "CVE-1")
    m.staunch(2, "cve", "CVE-2024-1234x")
    m.staunch(2, "cve", "CVE-2024-1234", "CVE-2024-1235")
    m.staunch(1, "cve", "--tracker", os.path.join(m.dir, "none"))
    out = m.staunch(0, "cve", "--root", m.root)
    assert "0 CVEs" in out, out


def wait_for(path, process, tries=None):
    """Until the path is there; at most so many times until something happens in its folder, or some time has passed."""
    folder = os.path.dirname(path)
    while not os.path.exists(path) and tries != 0:
        tries = tries and tries - 1
        if process.poll() is not None:
            raise AssertionError(f"the agent ended ({process.returncode})")
        subprocess.run(["inotifywait", "-q", "-t", "1", folder] if shutil.which("inotifywait") else
                       [sys.executable, "-c", "import select; select.select([], [], [], 0.1)"], check=False,
                       stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def ask(m, op):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(m.dir, "run", "control"))
        s.sendall(json.dumps({"op": op}).encode() + b"\n")
        return json.loads(s.makefile().readline())


builds = Builds()
try:
    failed = run([exposed_then_hotpatched_then_current, code_that_ran_before_the_patch, scripts_that_an_interpreter_has_read,
                  scripts_beside_a_program, process_that_starts_itself_again_is_as_old_as_before,
                  log_tells_where_dates_do_not, nothing_is_guessed, witnesses_that_disagree,
                  file_that_is_not_its_package_s, agent_records_what_it_sees, restart_tells_what_it_is_for,
                  window_that_is_open_when_the_agent_starts,
                  file_of_no_package_is_looked_up_once, tracker_says_what_no_update_fixes,
                  report_for_scanners,
                  upgrade_is_assessed_before_it_is_made, apt_names_upgrades, usage],
                 lambda: Machine(STAUNCH, builds))
finally:
    builds.close()
sys.exit(1 if failed else 0)
