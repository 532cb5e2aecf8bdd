#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wayback.py STAUNCHD STAUNCH: a patch that is right, and whose way back is not: old code would go on with what new code has
not kept up to date. Nothing takes it out by itself, a restart is pending instead, and by hand it has to be said."""

import json
import os
import subprocess
import sys

from machine import Builds, Machine, equal, only_root, run

STAUNCHD, STAUNCH = sys.argv[1:3]
SOURCE = f'__attribute__((used)) static const char run[] = "{os.getpid()}";\n' + r"""
#include <stdio.h>
#include <stdlib.h>
#if NEW == 1
static volatile int last = 3; /* which only the first build knows */
#endif
__attribute__((weak)) int answer(int x) {
#if NEW == 1
        int was = last;

        last = x;
        return x + 1 + (was == -77);
#else
        if (x == 7)
                __builtin_trap();
        return x + NEW;
#endif
}
int main(void) {
        char line[64];
        while (fgets(line, sizeof(line), stdin)) {
                printf("%d\n", answer(atoi(line)));
                fflush(stdout);
        }
        return 0;
}
"""
CODE = "revert-unproved"


def staunch(code, *args):
    r = subprocess.run([STAUNCH, *args], capture_output=True, text=True)
    equal(r.returncode, code, f"'{' '.join(args)}' says {r.stdout}{r.stderr}, exit code")
    return r.stdout


def by_hand(m):
    """It is told before the patch is made, in the patch and in the process; 'revert' refuses, and holds nothing then."""
    t = m.target()
    state = ["--state", os.path.join(m.dir, "state")]
    patch = os.path.join(m.dir, "patch")
    pair = json.loads(staunch(0, "diff", "--json", m.builds[1], m.builds[2]))["pairs"][0]
    equal((pair["verdict"], [f["code"] for f in pair["findings"]]), ("hotpatch", [CODE]), "the verdict there")
    pair = json.loads(staunch(0, "diff", "--json", m.builds[2], m.builds[3]))["pairs"][0]
    equal((pair["verdict"], pair["findings"]), ("hotpatch", []), "the verdict of a pair that goes both ways")
    staunch(0, "build", m.builds[1], m.builds[2], "-o", patch)
    equal(json.loads(staunch(0, "show", "--json", patch))["way_back"], "unproved", "what the patch says")
    assert "unproved" in staunch(0, "show", patch)
    m.start()  # so that there is a state to hold it in
    m.configure('patch_mode = "manual"\n')
    equal(m.ask("reload")["ok"], True, "the reload")
    staunch(0, "apply", patch, "--pid", str(t.pid))
    carried = json.loads(staunch(0, "status", "--json", "--pid", str(t.pid)))["processes"][0]["patches"][0]
    equal(carried["way_back"], "unproved", "what the process says")
    assert "answer" in carried["way_back_reason"], carried
    out = json.loads(staunch(3, "revert", "--json", "--pid", str(t.pid), *state))["processes"][0]
    equal((out["outcome"], out["refusal"]["code"]), ("refused", CODE), "the revert")
    equal(t.ask(100), 102, "the target after a revert that was refused")
    equal(json.loads(staunch(0, "list", "--json", *state))["quarantine"], [], "what is held")
    staunch(2, "revert", "--accept", "layout-unproved", "--pid", str(t.pid), *state)
    staunch(0, "revert", "--accept", CODE, "--pid", str(t.pid), *state)
    equal(t.ask(100), 101, "the target after a revert that was asked for twice")
    equal(len(json.loads(staunch(3, "list", "--json", *state))["quarantine"]), 1, "how many are held")


def crash(m):
    """The harmful patch stays where it is, is applied nowhere else, and waits for a restart, until the policy accepts its revert."""
    state = ["--state", os.path.join(m.dir, "state")]
    # The third one's word is enough where the kernel does not say where they crashed; and then one more.
    crashing, t = [m.target() for _ in range(4)], m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    equal(t.ask(100), 102, "the patched target")
    for c in crashing:
        equal(c.ask(7), None, "a target that crashes")
        m.await_event("process-crashed", pid=c.pid)
    m.seen = 0  # what follows may have come before the last crash
    m.await_event("patch-quarantined")
    e = m.await_event("patch-failed", pid=t.pid)
    equal(e["fields"]["STAUNCH_REASON"], CODE, "why it stays")
    m.seen = 0
    e = m.await_event("restart-pending")
    equal(e["fields"]["STAUNCH_REASON"], CODE, "what waits for the restart")
    for _ in range(2):
        equal(m.ask("converge")["ok"], True, "another round")
    equal(t.ask(100), 102, "the target")
    told = [e["kind"] for e in map(json.loads, open(m.events_file)) if e["fields"].get("STAUNCH_PID") == str(t.pid)]
    equal([told.count("patch-reverted"), told.count("patch-failed"), m.kinds().count("restart-pending"),
           m.kinds().count("patch-quarantined")], [0, 1, 1, 1], "what was told")
    listed = json.loads(staunch(3, "list", "--json", *state))
    equal([r["reason"] for r in listed["restarts"]], [CODE], "what is listed")
    assert CODE in staunch(3, "list", *state)
    m.stop()
    m.configure(f'[[accept]]\npackage = "*"\ncode = "{CODE}"\n')
    m.start()
    m.await_event("patch-reverted", pid=t.pid)
    equal(t.ask(100), 101, "the target under a policy that accepts it")


def downgrade(m):
    """The first build is on disk again: that is an update that needs a restart."""
    t = m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round up")
    m.install(1)
    equal(m.ask("converge")["ok"], True, "the round down")
    e = m.await_event("restart-pending")
    equal(e["fields"]["STAUNCH_REASON"], CODE, "the reason")
    equal(m.ask("converge")["ok"], True, "another round")
    equal(t.ask(100), 102, "the target")
    equal([m.kinds().count(k) for k in ("patch-reverted", "restart-pending")], [0, 1], "what was told")
    m.stop()
    image = json.loads(staunch(3, "converge", "--json", "--root", m.root))["processes"][0]["images"][0]
    equal((image["outcome"], [f["code"] for f in image["findings"]]), ("restart", [CODE]), "what the command says")
    staunch(4, "converge", "--accept", CODE, "--root", m.root)
    equal(t.ask(100), 101, "the target after the command was told so")


CASES = [by_hand, crash, downgrade]
only_root()
with Builds() as builds:
    for version in (1, 2, 3):
        builds.compile(version, SOURCE, f"-DNEW={version}")
    code = run(CASES, sys.argv[3:], lambda: Machine(STAUNCHD, builds), [crash])
sys.exit(code)
