#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""agent.py STAUNCHD STAUNCH: runs the agent on targets of its own, each in a folder of its own, and checks what it
does by its events, its answers, and what the targets say."""

import contextlib
import fcntl
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

from machine import Builds, Machine, Target, equal, only_root, run, wait
from told import told_of_processes

STAUNCHD, STAUNCH = sys.argv[1:3]
# Each run has builds of its own: an agent looks after every process with a patch that it knows, also another run's.
SOURCE = f'__attribute__((used)) static const char run[] = "{os.getpid()}";\n' + r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
__attribute__((weak)) int answer(int x) {
#if NEW == 9 /* the build that does harm */
        if (x == 7)
                __builtin_trap();
#endif
        if (x == -2) { /* stays here for a line more */
                char line[8];
                puts("inside");
                fflush(stdout);
                return fgets(line, sizeof(line), stdin) ? 0 : 1;
        }
        return x + NEW;
}
/* From now on mmap() is deadly. */
static void filter(void) {
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = { sizeof(code) / sizeof(*code), code };
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
                abort();
}
int main(void) {
        char line[64];
        while (fgets(line, sizeof(line), stdin)) {
                int x = atoi(line);
                if (x == -1)
                        filter();
                if (x == -3)
                        execl("/bin/cat", "cat", NULL);
                if (x == -4 && chroot("/jail"))
                        abort();
                printf("%d\n", answer(x));
                fflush(stdout);
        }
        return 0;
}
"""


# Five builds; the second brings a variable that counts, which the later ones still have.
CHAIN = r"""
#include <stdio.h>
#include <stdlib.h>
#if NEW >= 2
static long added = 40;
#endif
/* weak, so that the compiler does not know what they return */
__attribute__((weak)) long count(void) {
#if NEW >= 2
        added++;
        return added;
#else
        return 0;
#endif
}
__attribute__((weak)) long answer(long x) {
        return x | NEW << 8;
}
int main(void) {
        char line[64];
        while (fgets(line, sizeof(line), stdin)) {
                printf("%ld\n", count() * 10000 + answer(atoi(line)));
                fflush(stdout);
        }
        return 0;
}
"""

# A program and its library, each of which knows its version: 1 and 2 can be patched, "wide" can't.
LIBRARY = r"""
#ifdef WIDE
__thread int extra[100] = {1};
int library(int x) { return x + 10 * NEW + extra[x & 63]; }
#else
int library(int x) { return x + 10 * NEW; }
#endif
"""
USER = r"""
#include <stdio.h>
#include <stdlib.h>
int library(int x);
__attribute__((noinline)) static int answer(int x) { return library(x) + 1000 * NEW; }
int main(void) {
        char line[64];
        while (fgets(line, sizeof(line), stdin)) {
                printf("%d\n", answer(atoi(line)));
                fflush(stdout);
        }
        return 0;
}
"""


def patched_with_nobody_typing(m):
    a, b = m.target(), m.target()
    equal(a.ask(100), 101, "the old build")
    m.start()
    m.install(2)
    m.wake()
    m.await_event("round-started")
    m.await_event("patch-ready")
    first = m.await_event("patch-installed")
    equal(first["id"], 19, "the number of 'installed'")
    m.await_event("patch-installed")
    equal([a.ask(100), b.ask(100)], [102, 102], "the patched targets")
    # Another look finds nothing to do and says nothing.
    before = m.kinds()
    equal(m.ask("converge")["ok"], True, "a round asked for")
    equal(m.kinds(), before, "the events of a round with nothing to do")
    equal({a.pid, b.pid} <= set(m.ask("status")["patched_pids"]), True, "the agent knows both")


def forged_build_ids_touch_nobody_else(m):
    """A process with files of its own at the same path, which say that they are the same builds: what is made of them
    is for nobody else."""
    evil = os.path.join(m.dir, "evil")
    os.mkdir(evil)
    shutil.copy(builds[1], os.path.join(evil, m.name))
    command = 'mount --bind "$1" "$2" && exec "$2/$3"'
    forger = Target(["unshare", "-m", "--propagation", "private", "sh", "-c", command, "sh", evil, m.root, m.name])
    m.targets.append(forger)
    t = m.target()
    m.start()
    shutil.copy(builds["forged"], os.path.join(evil, "new"))
    os.rename(os.path.join(evil, "new"), os.path.join(evil, m.name))
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    equal(m.kinds().count("patch-installed"), 2, "processes that were patched")
    equal([forger.ask(100), t.ask(100)], [103, 102], "the forger and the target")
    late = m.target(m.old)
    m.await_event("patch-installed", pid=late.pid)
    equal(late.ask(100), 102, "a target that started later")
    equal(m.kinds().count("patch-ready"), 2, "comparisons")


def process_under_a_filter(m):
    t = m.target()
    t.ask(-1)
    m.start()
    m.install(2)
    m.wake()
    m.await_event("patch-installed", pid=t.pid)
    equal(t.ask(1), 3, "the answer under a filter that knows no mmap")


def outdated_image_that_starts_later(m):
    """Some start an image that was replaced: one that is held open, or restarts itself by /proc/self/exe."""
    fd = os.open(m.program, os.O_RDONLY)
    m.install(2)
    m.start()
    equal(m.ask("converge")["ok"], True, "the first round")
    t = m.target(fd)
    os.close(fd)
    m.await_event("patch-installed", pid=t.pid)
    equal(t.ask(100), 102, "the target that started outdated")


@contextlib.contextmanager
def package_manager(m):
    """One that holds its lock, for an agent that sees a folder of ours in the place of dpkg's."""
    folder = os.path.join(m.dir, "dpkg")
    os.mkdir(folder)
    m.before = ["unshare", "-m", "--propagation", "private", "sh", "-c",
                f'mount --bind {folder} /var/lib/dpkg && exec "$@"', "sh"]
    with open(os.path.join(folder, "lock-frontend"), "w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield lock


def waits_for_the_package_manager(m):
    old = m.target()
    fd = os.open(m.program, os.O_RDONLY)
    m.install(2)
    with package_manager(m) as lock:
        m.start()
        # What starts outdated does not wait. The first look at all was due before.
        started = m.target(fd)
        m.await_event("patch-installed", pid=started.pid)
        equal(old.ask(100), 101, "the target, while packages change")
        fcntl.lockf(lock, fcntl.LOCK_UN)
        m.await_event("patch-installed", pid=old.pid)
    os.close(fd)


def does_not_wait_for_ever(m):
    old = m.target()
    m.configure('package_wait = "1s"\n')
    m.install(2)
    with package_manager(m):
        m.start()
        m.await_event("patch-installed", pid=old.pid)


def process_that_executes_again_carries_nothing(m):
    """What crashes in it from then on crashes in another program, which has no patch."""
    a, b = m.target(), m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    equal(sorted(m.ask("status")["patched_pids"]), sorted([a.pid, b.pid]), "the processes with a patch")
    a.process.stdin.write("-3\n")
    while m.ask("status")["patched_pids"] != [b.pid]:
        wait(m.dir)
    equal(a.ask(7), 7, "what the other program says")
    equal(b.ask(100), 102, "the patched target")


def process_whose_files_are_gone_is_left_out(m):
    """Its program lies on a file system that does not answer any more: looking at it never ends."""
    folder = os.path.join(m.root, "stuck")
    os.mkdir(folder)
    server = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(__file__), "stuckfs.py"), folder, builds[1]],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    told = server.stdout.readline()
    if told != "mounted\n":
        print(f"# not tried: no file system in user space here: {told.strip()}", flush=True)
        server.wait()
        return
    try:
        stuck = [Target(os.path.join(folder, "target")) for _ in range(3)]
        m.targets.extend(stuck)
        t = m.target()
        m.configure('unresponsive_after = "1s"\nsafe_point_deadline = "100ms"\n')
        server.stdin.write("\n")
        equal(server.stdout.readline(), "stuck\n", "what the server says")
        m.install(2)
        m.start()
        for s in sorted(stuck, key=lambda s: s.pid):
            m.await_event("process-unresponsive", pid=s.pid)
        m.await_event("patch-installed", pid=t.pid)
        equal(t.ask(100), 102, "the other target")
        equal(m.ask("converge")["ok"], True, "another round")
        equal(m.kinds().count("process-unresponsive"), 3, "how often that was told")
        assert m.agent.poll() is None
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()


def agent_killed_and_started_again(m):
    t = m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    equal(t.ask(100), 102, "the patched target")
    m.stop(signal.SIGKILL)
    equal(t.ask(100), 102, "the target without an agent")
    m.start()
    equal(m.ask("converge")["ok"], True, "the round of the new agent")
    equal(t.pid in m.ask("status")["patched_pids"], True, "the new agent finds it")
    equal(m.kinds().count("patch-installed"), 1, "times patched")
    # The state is lost as well: what is patched is found in the process.
    m.stop()
    shutil.rmtree(os.path.join(m.dir, "state"))
    m.start()
    equal(m.ask("converge")["ok"], True, "the round without a state")
    equal(m.kinds().count("patch-installed"), 1, "times patched, after the state was lost")
    m.install(3)
    equal(m.ask("converge")["ok"], True, "the next update")
    equal(t.ask(100), 103, "the target after the next update")


def state_that_is_rubbish(m):
    os.mkdir(os.path.join(m.dir, "state"))
    with open(os.path.join(m.dir, "state", "state.db"), "w") as f:
        f.write("rubbish " * 1000)
    m.start()
    equal(m.kinds()[0], "state-lost", "the first event")
    equal(m.ask("converge")["ok"], True, "a round")


def descriptors_that_run_out(m):
    """A round whose end can't be heard of is not waited for: when there is room again, the next one is made."""
    t = m.target()
    m.start()
    equal(m.ask("converge")["ok"], True, "the first round")
    limit = resource.prlimit(m.agent.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(m.agent.pid, resource.RLIMIT_NOFILE, (3, limit[1]))
    m.install(2)
    m.wake()
    while "a round did not end well" not in open(os.path.join(m.dir, "log")).read():
        assert m.agent.poll() is None, "the agent ended"
        wait(m.dir)
    resource.prlimit(m.agent.pid, resource.RLIMIT_NOFILE, limit)
    equal(m.ask("converge")["ok"], True, "a round after it")
    equal(t.ask(100), 102, "the target")


def vault_killed(m):
    t = m.target()
    m.start()
    vault = int(subprocess.run(["pgrep", "-P", str(m.agent.pid), "staunch-vault"], capture_output=True,
                               text=True).stdout.split()[0])
    os.kill(vault, signal.SIGKILL)
    m.install(2)
    equal(m.ask("converge")["ok"], True, "a round with a new vault")
    m.await_event("helper-failed")
    equal(t.ask(100), 102, "the target")


def mistake_in_the_policy(m):
    m.start()
    m.configure('patch_mode = "sometimes"\n')
    m.agent.send_signal(signal.SIGHUP)
    e = m.await_event("config-invalid")
    assert "staunch.toml:1: patch_mode" in e["message"], e
    equal(m.ask("status")["mode"], "automatic", "the policy in force")
    m.configure('patch_mode = "assess-only"\n')
    m.agent.send_signal(signal.SIGHUP)
    m.await_event("config-changed")
    equal(m.ask("status")["mode"], "assess-only", "the policy in force")


def assess_only_changes_nothing(m):
    m.configure('patch_mode = "assess-only"\n')
    t = m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    equal(t.ask(100), 101, "the target")
    equal(m.kinds().count("patch-installed"), 0, "patches installed")
    assert "nothing is patched" in m.await_event("round-started")["message"]


def excluded_path_is_left_alone(m):
    m.configure(f'[exclude]\npath = ["{m.root}/*"]\n')
    t = m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    equal(t.ask(100), 101, "the excluded target")


def quarantine(m, victim):
    """Crashes the victim, and others before it, until the kernel's or their word is enough to blame the patch."""
    known = os.access("/dev/kmsg", os.R_OK) and open("/proc/sys/debug/exception-trace").read().strip() == "1"
    if not known:
        print("# the kernel does not say where a process crashed: three are needed", flush=True)
    for v in [victim] if known else [m.target(m.old) for _ in range(2)] + [victim]:
        if v is not victim:
            m.await_event("patch-installed", pid=v.pid)
        equal(v.ask(7), None, "the target that crashes")
        m.await_event("process-crashed", pid=v.pid)
    m.await_event("patch-quarantined")


def busy_process_is_patched_back_later(m):
    m.configure('safe_point_deadline = "100ms"\n')
    for ended in (False, True):  # the agent, before it can try again
        m.install(1)
        a, b = m.target(), m.target()
        if not m.agent:
            m.start()
        m.install(9)
        equal(m.ask("converge")["ok"], True, "the round")
        b.process.stdin.write("-2\n")  # it stays inside the replaced function
        equal(b.process.stdout.readline(), "inside\n", "the busy target")
        quarantine(m, a)
        e = m.await_event("patch-failed", pid=b.pid)
        equal(e["fields"]["STAUNCH_REASON"], "process-busy", "why the patch is still in")
        assert "it is tried again" in e["message"], e
        if ended:
            m.stop()
            m.start()
        equal(b.ask(100), 0, "the target, as it leaves the function")
        m.await_event("patch-reverted", pid=b.pid)
        equal(b.ask(100), 101, "the target, after the patch was taken out")
        equal(m.kinds().count("patch-failed"), 1 + ended, "tries that were told of")
        staunch(0, "release", e["fields"]["STAUNCH_PATCH"], "--state", os.path.join(m.dir, "state"))


def installed(m):
    """pid -> how often its patch was told of, and what was said first."""
    told = {}
    for e in map(json.loads, open(m.events_file)):
        if e["id"] == 19:
            pid = int(e["fields"]["STAUNCH_PID"])
            told[pid] = (told.get(pid, (0,))[0] + 1, e["fields"].get("STAUNCH_DETAIL", ""))
    return told


def round_of(m):
    """The pid of the round that is at a patch: what it does is written down."""
    with open(f"/proc/{m.agent.pid}/task/{m.agent.pid}/children") as f:
        for pid in map(int, f.read().split()):
            if any("/begun/" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")):
                return pid
    raise AssertionError("no round has begun a patch")


def killed_between_a_patch_and_its_event(m):
    """Whoever patched a process and was killed while he was at the next: what he did is told by the next, once."""
    m.configure('safe_point_deadline = "10min"\nunresponsive_after = "10min"\n')
    m.start()
    state = os.path.join(m.dir, "state")
    for by_hand in (False, True):
        if by_hand:
            m.stop()
            m.install(1)
        a, b = sorted((m.target(), m.target()), key=lambda t: t.pid)  # in this order they are patched
        b.process.stdin.write("-2\n")
        equal(b.process.stdout.readline(), "inside\n", "the busy target")
        for _ in range(0 if by_hand else 2):  # nothing is left to be looked at because it has just started
            equal(m.ask("converge")["ok"], True, "a round before")
        m.install(2)
        command = [STAUNCH, "converge", "--pid", f"{a.pid},{b.pid}", "--root", m.root, "--state", state, "--events",
                   m.events_file, "--deadline", "600"]
        if by_hand:
            victim = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        else:
            m.wake()
            m.await_event("patch-ready")
        while a.ask(100) != 102:
            wait(m.dir)
        assert a.pid not in installed(m), "told before all were patched"
        if by_hand:
            victim.kill()
            victim.wait()
        else:
            os.kill(round_of(m), signal.SIGKILL)
            m.await_event("patch-installed", pid=a.pid)
        equal(b.ask(100), 0, "the busy target, as it leaves the function")
        if by_hand:
            while b.pid not in installed(m):
                subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # 0: its guardian was there before
        else:
            while b.pid not in installed(m):  # the round's guardian may go on, and be told of by a later round
                equal(m.ask("converge")["ok"], True, "another round")
        equal([a.ask(100), b.ask(100)], [102, 102], "both")
        told = installed(m)
        assert told[a.pid][0] == 1 and "found in the process" in told[a.pid][1], told
        out = json.loads(staunch(0, "history", "--state", state, "--json"))
        assert {a.pid, b.pid} <= {x["pid"] for x in out["actions"]}, out


def one_user_takes_no_patch_out(m):
    """Who crashes processes of their own inside a fix does not get rid of it on the machine; two users are believed."""
    for folder in (m.dir, m.root):
        os.chmod(folder, 0o711)
    service, users = m.target(), [m.target(user=u) for u in (54321, 54321, 54321, 54322)]
    m.start()
    m.install(9)
    equal(m.ask("converge")["ok"], True, "the round")
    for u in users:
        equal("patch-quarantined" in m.kinds(), False, "whether the patch is in quarantine")
        equal(service.ask(100), 109, "the patched service")
        equal(u.ask(7), None, "the target that crashes")
        m.await_event("process-crashed", pid=u.pid)
    m.await_event("patch-quarantined")
    m.await_event("patch-reverted", pid=service.pid)
    equal(service.ask(100), 101, "the service")


def crash_in_a_patch_is_taken_out(m):
    a, b = m.target(), m.target()
    m.start()
    m.install(9)
    equal(m.ask("converge")["ok"], True, "the round")
    equal([a.ask(100), b.ask(100)], [109, 109], "the patched targets")
    quarantine(m, a)
    m.await_event("patch-reverted", pid=b.pid)
    equal(b.ask(100), 101, "the other target, after the patch was taken out")
    equal(m.ask("converge")["ok"], True, "another round")
    equal(b.ask(100), 101, "the other target, after another round")
    assert "restart-pending" in m.kinds()

    # What the commands say of it, and letting it out again.
    state = ["--state", os.path.join(m.dir, "state")]
    listed = json.loads(staunch(3, "list", "--json", *state))
    digest = listed["quarantine"][0]["digest"]
    equal(listed["restarts"][0]["reason"], "quarantined", "the pending restart's reason")
    assert digest[:16] in staunch(3, "list", *state)
    done = [(a["action"], a["outcome"]) for a in json.loads(staunch(0, "history", "--json", *state))["actions"]]
    assert ("apply", "patched") in done and ("revert", "reverted") in done, done
    assert "reverted" in staunch(0, "history", *state)
    events = staunch(0, "events", "--json", "--id", "19", "--file", m.events_file).splitlines()
    equal({json.loads(e)["kind"] for e in events}, {"patch-installed"}, "the events with number 19")
    assert staunch(0, "events", "--file", m.events_file, "--since", "1h").count("patch-quarantined") == 1
    equal(staunch(0, "events", "--file", m.events_file, "--unit", "none.service"), "", "events of another unit")
    # It follows what is written, and ends when nobody reads it any more.
    reader = subprocess.Popen([STAUNCH, "events", "--follow", "--json", "--id", "agent-stopped", "--file", m.events_file],
                              stdout=subprocess.PIPE, text=True)
    m.stop()
    equal(json.loads(reader.stdout.readline())["kind"], "agent-stopped", "the event that was waited for")
    reader.stdout.close()
    reader.wait()
    m.start()
    staunch(1, "release", "00000000", *state)
    staunch(1, "release", "xyz", *state)
    staunch(0, "release", digest[:8], *state)
    equal(m.ask("converge")["ok"], True, "the round after the release")
    equal(b.ask(100), 109, "the other target, after the release")
    assert "Nothing waits" in staunch(0, "list", *state)


def harm_while_the_state_is_locked(m):
    """The patch is taken out all the same, is not applied again meanwhile, and is in quarantine as soon as that can be written."""
    a, b = m.target(), m.target()
    m.start()
    m.install(9)
    equal(m.ask("converge")["ok"], True, "the round")
    equal(b.ask(100), 109, "the patched target")
    with contextlib.closing(sqlite3.connect(os.path.join(m.dir, "state", "state.db"), isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        equal(a.ask(7), None, "the target that crashes")
        e = m.await_event("process-crashed", pid=a.pid)
        if "inside the patch" not in e["message"]:
            print("# the kernel does not say where a process crashed: not tried", flush=True)
            return
        m.await_event("patch-reverted", pid=b.pid)
        equal(b.ask(100), 101, "the other target while the state is locked")
        equal("patch-quarantined" in m.kinds(), False, "whether it is in quarantine")
    m.await_event("patch-quarantined")
    equal(m.ask("converge")["ok"], True, "another round")
    equal(b.ask(100), 101, "the other target after another round")


def image_that_needs_a_restart(m):
    t = m.target()
    m.start()
    shutil.copy(builds["wide"], m.program + ".new")
    os.rename(m.program + ".new", m.program)
    equal(m.ask("converge")["ok"], True, "the round")
    e = m.await_event("restart-pending")
    assert e["fields"]["STAUNCH_REASON"], e
    equal(t.ask(100), 101, "the target that waits for its restart")
    equal(m.ask("converge")["ok"], True, "another round")
    equal(m.kinds().count("restart-pending"), 1, "times it was told")


def stopped_agent_leaves_patches(m):
    t = m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    equal(m.stop(), 0, "the agent's exit code")
    equal(t.ask(100), 102, "the target")
    equal(m.kinds()[-1], "agent-stopped", "the last event")


def doctor_looks_at_the_agent(m):
    machine = os.path.join(m.dir, "machine")
    os.makedirs(os.path.join(machine, "run"))
    os.symlink(os.path.join(m.dir, "run"), os.path.join(machine, "run", "staunch"))

    def grades(code=0):
        report = json.loads(staunch(code, "doctor", "--json", "--root", machine))
        return {c["name"]: c["grade"] for c in report["checks"]}

    equal(grades()["agent"], "not-applicable", "the agent, before it runs")
    m.start()
    have = grades()
    equal([have[name] for name in ("agent", "agent-version", "agent-watch")], ["ok", "ok", "ok" if told_of_processes() else "warning"],
          "the agent, when it runs")
    assert have["vault"] in ("ok", "warning"), have
    # Frozen, it takes the question and does not answer.
    m.agent.send_signal(signal.SIGSTOP)
    try:
        os.makedirs(os.path.join(machine, "usr", "sbin"))
        open(os.path.join(machine, "usr", "sbin", "staunchd"), "w").close()
        equal(grades(3)["agent"], "problem", "the agent, when it does not answer")
    finally:
        m.agent.send_signal(signal.SIGCONT)


def status_tells_of_the_round(m):
    """A round that runs right now, the agent's or one by hand, is told with what it does."""
    m.configure('safe_point_deadline = "10min"\nunresponsive_after = "10min"\n')
    runtime = ["--runtime", os.path.join(m.dir, "run")]
    machine = os.path.join(m.dir, "machine")
    os.makedirs(os.path.join(machine, "run"))
    os.symlink(os.path.join(m.dir, "run"), os.path.join(machine, "run", "staunch"))

    def await_round(is_it):
        while True:
            have = json.loads(staunch(0, "status", "--json", *runtime))["round"]
            if have and is_it(have):
                return have

    def said():
        report = json.loads(staunch(0, "doctor", "--json", "--root", machine))
        return staunch(0, "status", *runtime), next(c["seen"] for c in report["checks"] if c["name"] == "round")

    equal(json.loads(staunch(0, "status", "--json", *runtime))["round"], None, "before there is an agent")
    busy = m.target()
    busy.process.stdin.write("-2\n")  # it stays inside the replaced function
    equal(busy.process.stdout.readline(), "inside\n", "the busy target")
    m.start()
    equal(m.ask("converge")["ok"], True, "a round before")
    with open(os.path.join(m.dir, "run", "lock")) as f:
        fcntl.flock(f, fcntl.LOCK_EX)  # somebody who does not say who they are
        for _ in range(5):  # whatever the agent itself does
            assert "whose it is is not known" in said()[0], "a round of somebody else is not told"
        m.install(2)
        m.wake()
        equal(await_round(lambda r: True)["pid"], None, "whose round it is")
    have = await_round(lambda r: r["doing"] == "changes" and r["at"])
    equal((have["program"], have["kind"], have["at"]["pid"]), ("staunchd", "all", busy.pid), "the agent's round")
    assert have["processes"] >= 1, have
    for text in said():
        assert f"a round (all processes; staunchd, pid {have['pid']}) runs since " in text, text
        assert f"{have['processes']} process" in text and f"it changes {m.name} (pid {busy.pid})" in text, text
    busy.ask(100)
    m.await_event("patch-installed", pid=busy.pid)
    m.stop()
    equal(json.loads(staunch(0, "status", "--json", *runtime))["round"], None, "when the agent has ended")
    busy.process.stdin.write("-2\n")
    equal(busy.process.stdout.readline(), "inside\n", "the busy target again")
    m.install(3)
    hand = subprocess.Popen([STAUNCH, "converge", "--root", m.root, "--deadline", "600", "--state", os.path.join(m.dir, "state"),
                             "--events", m.events_file, *runtime], stdout=subprocess.DEVNULL)
    have = await_round(lambda r: r["pid"])
    equal([have[key] for key in ("program", "pid", "kind", "doing", "processes", "at")],
          ["staunch", hand.pid, None, None, None, None], "the round by hand")
    for text in said():
        assert f"a round (by hand; staunch, pid {hand.pid}) runs since " in text, text
    busy.ask(100)
    equal(hand.wait(), 4, "the exit code of the round by hand")
    equal(said()[1], "no round runs right now", "afterwards")


def five_updates_in_a_row(m):
    m.install("chain1")
    t = m.target()
    equal(t.ask(0), 0x100, "the first build")
    m.start()
    counted = 40
    for version in (2, 3, 4, 5):
        m.install(f"chain{version}")
        equal(m.ask("converge")["ok"], True, f"the round for {version}")
        for _ in range(3):
            counted += 1
            equal(t.ask(0), counted * 10000 + version * 0x100, f"build {version}")
    equal(m.kinds().count("patch-installed"), 4, "patches installed")
    status = json.loads(staunch(0, "status", "--json", "--pid", str(t.pid)))
    equal(len([p for p in status["processes"][0]["patches"] if p["state"] == "active"]), 1, "patches in force")
    # Back to the level before: the package is downgraded. The variable counts on.
    m.install("chain4")
    equal(m.ask("converge")["ok"], True, "the round for the older build")
    equal(t.ask(0), (counted + 1) * 10000 + 0x400, "the build before")


def downgrade_to_the_first_build(m):
    """The build that a process was started with is on disk again: its patch is taken out, once."""
    t = m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round up")
    m.install(1)
    state = ["--state", os.path.join(m.dir, "state")]
    dry = json.loads(staunch(4, "converge", "--dry-run", "--json", "--root", m.root))
    equal(dry["processes"][0]["images"][0]["outcome"], "revert", "what a dry run says")
    equal((dry["summary"]["revertible"], dry["summary"]["current"]), (1, 0), "how it is counted")
    equal(t.ask(100), 102, "the target after a dry run")
    equal(m.ask("converge")["ok"], True, "the round down")
    e = m.await_event("patch-reverted", pid=t.pid)
    equal(e["fields"]["STAUNCH_VERDICT"], "reverted", "the event's verdict")
    equal(t.ask(100), 101, "the target after the downgrade")
    equal(t.pid in m.ask("status")["patched_pids"], False, "the agent counts it as patched")
    done = [(a["action"], a["outcome"]) for a in json.loads(staunch(0, "history", "--json", *state))["actions"]]
    equal(done, [("apply", "patched"), ("revert", "reverted")], "the history")
    assert "Nothing waits" in staunch(0, "list", *state)
    before = m.kinds()
    equal(m.ask("converge")["ok"], True, "another round")
    equal(m.kinds(), before, "the events of a round with nothing to do")
    # Up twice, down one, down to the first.
    for version, want, kind in ((2, 102, "patch-installed"), (3, 103, "patch-installed"), (2, 102, "patch-installed"),
                                (1, 101, "patch-reverted")):
        m.install(version)
        equal(m.ask("converge")["ok"], True, f"the round to {version}")
        m.await_event(kind, pid=t.pid)
        equal(t.ask(100), want, f"the target at {version}")
    # The command does the same, and the agent that does not run finds it when it is started.
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round up again")
    m.stop()
    m.install(1)
    text = staunch(4, "converge", "--root", m.root)
    assert "reverted" in text and "started with" in text, text
    equal(t.ask(100), 101, "the target after the command")
    staunch(0, "converge", "--root", m.root)
    m.install(2)
    staunch(4, "converge", "--root", m.root)
    m.install(1)
    m.start()
    m.await_event("patch-reverted", pid=t.pid)
    equal(t.ask(100), 101, "the target after the agent's start")


def downgrade_that_is_not_ours_to_act_on(m):
    t = m.target()
    m.install(2)
    staunch(4, "converge", "--root", m.root)
    m.install(1)
    for mode in ("assess-only", "manual"):
        m.configure(f'patch_mode = "{mode}"\n')
        m.start()
        if mode == "assess-only":
            equal(m.ask("converge")["ok"], True, "the round")
        else:
            m.wake()
            equal(m.ask("reload")["ok"], True, "a reload")
        m.stop()
        equal(t.ask(100), 102, f"the target under {mode}")
        equal("patch-reverted" in m.kinds(), False, "an event of a revert")


def patch_by_hand_that_does_not_last(m):
    """'staunch apply' says that the agent will take it out; the agent does; and what is said helps."""
    t = m.target()
    patch = os.path.join(m.dir, "patch")
    staunch(0, "build", m.builds[1], m.builds[2], "-o", patch)
    apply = [STAUNCH, "apply", patch, "--pid", str(t.pid), "--runtime", os.path.join(m.dir, "run")]
    warning = f"warning: of process {t.pid} (target) the agent takes this out at its next round"

    def warned():
        r = subprocess.run(apply, capture_output=True, text=True)
        equal(r.returncode, 0, f"what 'apply' did: {r.stderr}{r.stdout}")
        if warning not in r.stderr:  # else its next round may have come already
            equal(t.ask(100), 102, f"the target after 'apply': {r.stderr}{r.stdout}")
        return warning in r.stderr

    equal(warned(), False, "a warning with no agent")
    staunch(0, "revert", "--pid", str(t.pid))
    m.start()
    equal(warned(), True, "a warning")
    equal(m.ask("converge")["ok"], True, "the round")
    equal(t.ask(100), 101, "the target after the round")
    m.configure('patch_mode = "manual"\n')
    equal(m.ask("reload")["ok"], True, "a reload")
    equal(warned(), False, "a warning under a policy that leaves it")
    # With the build on disk it lasts under any policy.
    m.install(2)
    m.configure("")
    equal(m.ask("reload")["ok"], True, "a reload")
    equal(warned(), False, "a warning with the build on disk")
    equal(m.ask("converge")["ok"], True, "the round")
    equal(t.ask(100), 102, "the target after the round")


def reverted_by_hand_stays_out(m):
    """No round applies it again, to no process, nor waits anything for a restart; other processes keep it."""
    state = ["--state", os.path.join(m.dir, "state")]
    a, b = m.target(), m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    equal([a.ask(100), b.ask(100)], [102, 102], "the patched targets")
    out = staunch(0, "revert", "--pid", str(a.pid), *state, "--events", m.events_file)
    e = m.await_event("patch-reverted", pid=a.pid)
    equal([e["fields"][k] for k in ("STAUNCH_IMAGE", "STAUNCH_VERDICT", "STAUNCH_REASON", "STAUNCH_DETAIL")],
          ["target", "reverted", "held", "by 'staunch revert'"], "the event of the revert")
    held = json.loads(staunch(3, "list", "--json", *state))["quarantine"]
    equal([h["by_hand"] for h in held], [True], "what is held")
    assert f"staunch release {held[0]['digest'][:16]}" in out, out
    for again in (False, True):
        if again:
            m.stop()
            m.start()
        equal(m.ask("converge")["ok"], True, "another round")
        equal([a.ask(100), b.ask(100)], [101, 102], "the targets after another round")
    equal(json.loads(staunch(3, "list", "--json", *state))["restarts"], [], "what waits for a restart")
    equal([k for k in m.kinds() if k in ("restart-pending", "patch-quarantined")], [], "what was told")
    dry = json.loads(staunch(3, "converge", "--dry-run", "--json", "--pid", str(a.pid), "--root", m.root, *state))
    equal([f["code"] for f in dry["processes"][0]["images"][0]["findings"]], ["held"], "what the command says")
    staunch(4, "converge", "--dry-run", "--accept", "held", "--pid", str(a.pid), "--root", m.root, *state)
    # Nor does a command, unless it is told to; and what it does is told.
    patch, events = os.path.join(m.dir, "patch"), ["--events", m.events_file]
    staunch(0, "build", m.builds[1], m.builds[2], "-o", patch)
    to = [patch, "--pid", str(a.pid), "--runtime", os.path.join(m.dir, "run"), *state, *events]
    refused = json.loads(staunch(3, "apply", "--json", *to))["processes"][0]
    equal([refused["refusal"][k] for k in ("code", "detail")], ["held", "taken out by 'staunch revert'"], "why 'apply' refuses")
    out = staunch(3, "apply", *to)
    assert "--accept held" in out and "staunch release" in out, out
    equal(a.ask(100), 101, "the target that was refused")
    staunch(2, "apply", "--accept", "layout-unproved", *to)
    staunch(0, "apply", "--accept", "held", *to)
    equal(a.ask(100), 102, "the target after 'apply'")
    equal(m.await_event("patch-installed", pid=a.pid)["fields"]["STAUNCH_DETAIL"], "by 'staunch apply'", "who patched it")
    staunch(0, "revert", "--pid", str(a.pid), *state)
    staunch(4, "converge", "--accept", "held", "--pid", str(a.pid), "--root", m.root, *state, *events)
    equal(a.ask(100), 102, "the target after 'converge'")
    equal(m.await_event("patch-installed", pid=a.pid)["fields"]["STAUNCH_DETAIL"], "by 'staunch converge'", "who patched it")
    staunch(0, "revert", "--pid", str(a.pid), *state)
    done = json.loads(staunch(0, "history", "--json", *state))["actions"]
    equal([(d["pid"], d["reason"]) for d in done if d["action"] == "revert"], [(a.pid, "held")] * 3, "what was reverted")
    equal([(d["pid"], d["detail"]) for d in done if d["action"] == "apply" and d["detail"].startswith("by ")],
          [(a.pid, "by 'staunch apply'"), (a.pid, "by 'staunch converge'")], "what was applied by hand")
    staunch(0, "release", held[0]["digest"][:16], *state)
    equal(m.ask("converge")["ok"], True, "the round after the release")
    equal(a.ask(100), 102, "the target after the release")
    # Let go at once: the next round patches again.
    staunch(0, "revert", "--no-hold", "--pid", str(a.pid), *state)
    equal(a.ask(100), 101, "the target, reverted")
    equal(m.ask("converge")["ok"], True, "the round after that")
    equal(a.ask(100), 102, "the target after that")


def what_lies_elsewhere_is_nothing_of_ours(m):
    """What counts is where the image lies: another's patch is not looked after, the crash of its process not told."""
    elsewhere = os.path.join(m.dir, "elsewhere")
    os.mkdir(elsewhere)
    program = os.path.join(elsewhere, "target")
    shutil.copy(m.builds[1], program)
    stranger, t = Target(program), m.target()
    m.targets.append(stranger)
    shutil.copy(m.builds[9], program + ".new")
    os.rename(program + ".new", program)
    staunch(4, "converge", "--root", elsewhere)
    equal(stranger.ask(100), 109, "the patched stranger")
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    equal(m.ask("status")["patched_pids"], [t.pid], "the processes with a patch")
    equal(stranger.ask(7), None, "the stranger that crashes")
    stranger.process.wait()
    equal(m.ask("converge")["ok"], True, "another round")
    equal("process-crashed" in m.kinds(), False, "whether the stranger's crash is told")


# Makes the folder the root of mounts and process ids of its own, stays there as its first process, and runs a program in it.
CONTAINER = """
import ctypes, os, sys
folder, program = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
def must(r):
    if r:
        raise OSError(ctypes.get_errno(), "container")
must(libc.unshare(0x20000 | 0x20000000))
must(libc.mount(None, b"/", None, 0x4000 | 0x40000, None))
must(libc.mount(folder.encode(), folder.encode(), None, 0x1000, None))
if os.fork() == 0:
    os.chdir(folder)
    must(libc.syscall(155, b".", b"."))
    must(libc.umount2(b".", 2))
    os.chdir("/")
    child = os.fork()
    if child == 0:
        os.execv(program, [program])
    os.close(0)
    os.close(1)
    os.waitpid(child, 0)
    os._exit(0)
os.close(0)
os.close(1)
os.wait()
"""


def jail_in_a_container(m):
    """Of the two files at the same path, on the same file system, the container's is the one that it is compared with."""
    folder = os.path.join(m.dir, "container")
    inside = folder + m.program
    os.makedirs(os.path.dirname(inside))
    os.mkdir(os.path.join(folder, "jail"))
    for path in (inside, m.program):
        shutil.copy(m.builds["static1"], path + ".new")
        os.rename(path + ".new", path)
    host = m.target()
    t = Target([sys.executable, "-c", CONTAINER, folder, m.program])
    m.targets.append(t)
    equal(t.ask(-4), -3, "the target that goes into its jail")
    m.start()
    m.install("static2")
    equal(m.ask("converge")["ok"], True, "the round after the host's upgrade")
    equal([host.ask(100), t.ask(100)], [102, 101], "the targets")
    shutil.copy(m.builds["static2"], inside + ".new")
    os.rename(inside + ".new", inside)
    equal(m.ask("converge")["ok"], True, "the round after the container's upgrade")
    equal(t.ask(100), 102, "the target after its own upgrade")


def downgrade_of_a_busy_process(m):
    """It can't reach a safe point: that is told, and tried again until it can."""
    m.configure("safe_point_deadline = 1\n")
    t = m.target()
    m.install(2)
    staunch(4, "converge", "--root", m.root)
    t.process.stdin.write("-2\n")  # it stays inside the replaced function
    t.process.stdin.flush()
    equal(t.process.stdout.readline(), "inside\n", "what it says from inside")
    m.install(1)
    m.start()
    e = m.await_event("patch-failed", pid=t.pid)
    equal(e["fields"]["STAUNCH_REASON"], "process-busy", "why")
    t.process.stdin.write("\n")
    t.process.stdin.flush()
    equal(int(t.process.stdout.readline()), 0, "its answer")
    m.await_event("patch-reverted", pid=t.pid)
    equal(t.ask(100), 101, "the target")


def images_of_one_update(m):
    """A program and its library: both are switched, in one stop."""
    m.install("user1")
    m.install("library1", "liblib.so")
    t = m.target()
    equal(t.ask(0), 1010, "the first builds")
    # Held, so that no round begins between the two files.
    with package_manager(m):
        m.start()
        m.install("user2")
        m.install("library2", "liblib.so")
    equal(m.ask("converge")["ok"], True, "the round")
    first, second = (m.await_event("patch-installed", pid=t.pid) for _ in range(2))
    equal({os.path.basename(e["fields"]["STAUNCH_IMAGE"]) for e in (first, second)}, {"target", "liblib.so"}, "images patched")
    equal(t.ask(0), 2020, "both new builds")
    done = json.loads(staunch(0, "history", "--json", "--state", os.path.join(m.dir, "state")))["actions"]
    equal(len({a["pause_usec"] for a in done}), 1, "stops of the process")


def update_that_is_patched_in_part_is_not(m):
    """The library can't be patched; the program could, and waits with it when they are of one package."""
    m.install("user1")
    m.install("library1", "liblib.so")
    t = m.target()
    info = os.path.join(m.root, "var/lib/dpkg/info")
    os.makedirs(info)
    with open(os.path.join(info, "both.list"), "w") as f:
        f.write("/.\n/target\n/liblib.so\n")
    with package_manager(m):
        m.start()
        m.install("user2")
        m.install("library-wide", "liblib.so")
    equal(m.ask("converge")["ok"], True, "the round")
    equal(t.ask(0), 1010, "the program beside its library")
    reasons = {os.path.basename(e["fields"]["STAUNCH_IMAGE"]): e["fields"]["STAUNCH_REASON"]
               for e in (m.await_event("restart-pending") for _ in range(2))}
    equal(reasons["target"], "update-parts", "why the program waits")
    # Of two packages, each stands for itself.
    with open(os.path.join(info, "both.list"), "w") as f:
        f.write("/.\n/target\n")
    equal(m.ask("converge")["ok"], True, "the round")
    equal(t.ask(0), 2010, "the program beside another package's library")


def hooks(m, *tables):
    """A policy with these hooks; each writes to m.told. The folder is open to the user that a hook becomes."""
    os.chmod(m.dir, 0o755)
    m.told = os.path.join(m.dir, "told")
    os.mkdir(m.told)
    os.chmod(m.told, 0o777)
    m.configure("".join(f"[[hook]]\n{t}\n" for t in tables))


def script(m, name, text):
    path = os.path.join(m.dir, name)
    with open(path, "w") as f:
        f.write(f"#!/bin/sh\n{text}\n")
    os.chmod(path, 0o755)
    return path


def await_files(m, n):
    """Waits for n files in m.told that were renamed to their names."""
    while len(names := [f for f in os.listdir(m.told) if not f.startswith(".")]) < n:
        wait(m.told)
    return [os.path.join(m.told, name) for name in sorted(names)]


# Writes what it was told to a file that is named when it is whole.
KEEP = """cat >"$0.d/.$$" && { id -un; env; } >>"$0.d/.$$" && mv "$0.d/.$$" "$0.d/$STAUNCH_KIND-$$" """


def hook_is_told_as_nobody(m):
    program = script(m, "keep", KEEP)
    hooks(m, f'events = ["patch-installed", 1001]\ncommand = ["{program}"]')
    os.symlink(m.told, program + ".d")
    t = m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    installed = await_files(m, 1)[0]
    lines = open(installed).read().splitlines()
    event = json.loads(lines[0])
    equal([event["id"], event["fields"]["STAUNCH_PID"]], [19, str(t.pid)], "the event on standard input")
    equal(lines[1], "nobody", "who the hook runs as")
    have = dict(line.split("=", 1) for line in lines[2:] if "=" in line)
    equal([have["STAUNCH_EVENT"], have["STAUNCH_KIND"], have["STAUNCH_PID"], have["STAUNCH_IMAGE"]],
          ["19", "patch-installed", str(t.pid), m.program], "the environment")
    equal("NOTIFY_SOCKET" in have, False, "the agent's own environment")
    # The last event of all is given to it as well.
    m.stop()
    assert os.path.basename(await_files(m, 2)[0]).startswith("agent-stopped"), os.listdir(m.told)


def hook_that_hangs_or_fails(m):
    hang = script(m, "hang", "exec sleep 1000000")
    fail = script(m, "fail", "echo no mail here >&2; exit 3")
    hooks(m, f'events = ["agent-started"]\ncommand = ["{hang}"]\ntimeout = 1',
          f'events = ["agent-started"]\ncommand = ["{fail}"]',
          'events = ["agent-started"]\ncommand = ["/nowhere/to/be/found"]',
          f'events = ["agent-started"]\ncommand = ["{fail}"]\nuser = "no-such-user"')
    t = m.target()
    m.start()
    m.install(2)
    # The agent's own work goes on beside it.
    equal(m.ask("converge")["ok"], True, "the round")
    equal(t.ask(100), 102, "the target")
    m.seen = 0
    told = sorted(m.await_event("hook-failed")["fields"]["STAUNCH_DETAIL"] for _ in range(4))
    for want in ("did not end within 1 s", "ended with code 3: no mail here", "No such file", "there is no user no-such-user"):
        assert any(want in text for text in told), (want, told)
    equal(m.kinds().count("hook-failed"), 4, "failures, of which no hook is told")


def storm_of_events(m):
    program = script(m, "count", 'f=$(mktemp "$0.d/.XXXXXX") && mv "$f" "$0.d/k${f##*.}"')
    hooks(m, f'events = ["*"]\ncommand = ["{program}"]')
    os.symlink(m.told, program + ".d")
    begun = time.monotonic()
    m.start()
    for _ in range(200):
        equal(m.ask("reload")["ok"], True, "the answer to a reload")
    dropped = int(m.await_event("hook-dropped")["fields"]["STAUNCH_DETAIL"].split()[0])
    # What was not dropped is run. Each period has its 20.
    m.stop()
    told = len([k for k in m.kinds() if k != "hook-dropped"])
    assert told >= 202, told  # 200 reloads, begin and end; other runs' crashes may be told, too
    periods = 2 + (time.monotonic() - begun) // 10  # that were begun, at most: on a slow machine there are more
    while True:
        dropped = sum(int(json.loads(line)["fields"]["STAUNCH_DETAIL"].split()[0]) for line in open(m.events_file)
                      if json.loads(line)["kind"] == "hook-dropped")
        run = len([f for f in os.listdir(m.told) if not f.startswith(".")])
        if dropped + run >= told:
            break
        wait(m.told)
    equal(dropped + run, told, "events run and dropped")
    assert run <= 20 * periods, (run, periods)


def staunch(code, *args):
    r = subprocess.run([STAUNCH, *args], capture_output=True, text=True)
    if r.returncode != code:
        raise AssertionError(f"staunch {' '.join(args)}: exit code {r.returncode}, expected {code}: {r.stderr}{r.stdout}")
    return r.stdout


CASES = [patched_with_nobody_typing, process_under_a_filter, forged_build_ids_touch_nobody_else, outdated_image_that_starts_later,
         waits_for_the_package_manager, does_not_wait_for_ever,
         process_that_executes_again_carries_nothing, process_whose_files_are_gone_is_left_out, agent_killed_and_started_again,
         state_that_is_rubbish, descriptors_that_run_out, vault_killed, mistake_in_the_policy, assess_only_changes_nothing, excluded_path_is_left_alone,
         killed_between_a_patch_and_its_event, one_user_takes_no_patch_out, crash_in_a_patch_is_taken_out, busy_process_is_patched_back_later,
         harm_while_the_state_is_locked, image_that_needs_a_restart, stopped_agent_leaves_patches, five_updates_in_a_row,
         downgrade_to_the_first_build, downgrade_that_is_not_ours_to_act_on, patch_by_hand_that_does_not_last,
         reverted_by_hand_stays_out, what_lies_elsewhere_is_nothing_of_ours, jail_in_a_container, downgrade_of_a_busy_process,
         images_of_one_update, update_that_is_patched_in_part_is_not, hook_is_told_as_nobody, hook_that_hangs_or_fails,
         storm_of_events, doctor_looks_at_the_agent, status_tells_of_the_round]
TOLD = [forged_build_ids_touch_nobody_else, outdated_image_that_starts_later, waits_for_the_package_manager,
        process_that_executes_again_carries_nothing,
        one_user_takes_no_patch_out, crash_in_a_patch_is_taken_out, busy_process_is_patched_back_later,
        harm_while_the_state_is_locked]


class OldKept(Machine):
    """Its first program stays open, for processes that run what was replaced."""

    def __init__(self):
        super().__init__(STAUNCHD, builds)
        self.old = os.open(self.program, os.O_RDONLY)

    def close(self):
        os.close(self.old)
        super().close()


only_root()
with Builds() as builds:
    for version in (1, 2, 3, 9):
        builds.compile(version, SOURCE, f"-DNEW={version}")
    told = subprocess.run([STAUNCH, "diff", "--json", builds[1], builds[2]], capture_output=True, text=True).stdout
    builds.compile("forged", SOURCE, "-DNEW=3", f"-Wl,--build-id=0x{json.loads(told)['pairs'][0]['new']['build_id']}")
    # Something that no patch can do: a thread's variable more.
    builds.compile("wide", "__thread int extra[100] = {1};\n__attribute__((weak)) int more(int i) { return extra[i]++; }\n"
                   + SOURCE.replace("return x + NEW", "return x + more(x & 63)"), "-DNEW=2")
    for version in (1, 2):
        builds.compile(f"static{version}", SOURCE, f"-DNEW={version}", "-static")
    for version in (1, 2, 3, 4, 5):
        builds.compile(f"chain{version}", CHAIN, f"-DNEW={version}")
    for version in (1, 2):
        builds.compile(f"library{version}", LIBRARY, f"-DNEW={version}", "-shared", "-fPIC", "-Wl,-soname,liblib.so")
    builds.compile("library-wide", LIBRARY, "-DNEW=2", "-DWIDE", "-shared", "-fPIC", "-Wl,-soname,liblib.so")
    for version in (1, 2):
        builds.compile(f"user{version}", USER, f"-DNEW={version}", builds["library1"], "-Wl,-rpath,$ORIGIN")
    code = run(CASES, sys.argv[3:], OldKept, TOLD)
sys.exit(code)
