# SPDX-License-Identifier: Apache-2.0
"""The agent's figures. It looks after a folder of its own, and what is measured runs there; that the hook touches `wake` stands
for the end of dpkg."""

import datetime
import json
import os
import shutil
import socket
import statistics
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def usec_of(event):
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp() * 1e6


class Agent:
    def __init__(self, build, folder, root, *before):
        self.dir = folder
        self.root = root
        os.makedirs(self.root, exist_ok=True)
        self.events_file = os.path.join(folder, "events.jsonl")
        self.log = open(os.path.join(folder, "log"), "w")
        self.process = subprocess.Popen(
            [*before, os.path.join(build, "src", "agent", "staunchd"), "--config", os.path.join(folder, "staunch.toml"), "--state",
             os.path.join(folder, "state"), "--runtime", os.path.join(folder, "run"), "--events", self.events_file, "--root",
             self.root], stderr=self.log)
        self.events = None
        while not os.path.exists(self.events_file):
            self.check()
            time.sleep(0.01)
        self.events = open(self.events_file)
        self.await_events("agent-started", 1)

    def check(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the agent ended with {self.process.returncode}")

    def await_events(self, kind, n):
        """The next n events of that kind."""
        found, rest = [], ""
        while len(found) < n:
            rest += self.events.readline()
            if not rest.endswith("\n"):
                self.check()
                time.sleep(0.005)
                continue
            event = json.loads(rest)
            rest = ""
            if event["kind"] == kind:
                found.append(event)
            elif event["kind"] in ("patch-failed", "restart-pending"):
                raise RuntimeError(event["message"])
        return found

    def ask(self, op):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(self.dir, "run", "control"))
            s.sendall(json.dumps({"op": op}).encode() + b"\n")
            return json.loads(s.makefile().readline())

    def pids(self):
        """Those of the agent that stay; what does a piece of work is a fork of the first."""
        stay = [self.process.pid]
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            children = f.read().split()
        for pid in children:
            try:
                with open(f"/proc/{pid}/comm") as f:
                    stay += [int(pid)] if f.read().strip() in ("staunch-vault", "staunch-hooks") else []
            except OSError:
                pass
        return stay

    def processor_sec(self):
        """Of all its processes, those that have ended included."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += sum(map(int, fields[11:15]))
        return total / TICKS

    def memory_kib(self):
        """(PSS, RSS) of all of them."""
        pss = rss = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as f:
                for line in f:
                    key, value = line.split(":")[0], line.split()[1]
                    pss += int(value) if key == "Pss" else 0
                    rss += int(value) if key == "Rss" else 0
        return pss, rss

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        if self.events:
            self.events.close()


def install(path, build):
    shutil.copy(build, path + ".new")
    os.rename(path + ".new", path)


def start(bench, path, n, **kwargs):
    """n processes, and when each of them began."""
    children = [bench.spawn([path], **kwargs) for _ in range(n)]
    return children, [int(c.stdout.readline()) for c in children]


def upgrade(bench, agent, builds):
    """From the end of dpkg to the last process patched."""
    program = os.path.join(agent.root, "target")
    typed = os.path.join(bench.scratch, "typed")
    os.makedirs(typed, exist_ok=True)
    by_hand = os.path.join(typed, "target")
    for n in (1, 20, 200):
        taken, floor = [], []
        for i in range(4):
            old, new = builds[i % 2], builds[1 - i % 2]
            install(program, old)
            children, _ = start(bench, program, n)
            time.sleep(0.2)  # until they are nothing new to the agent
            install(program, new)
            begun = time.time() * 1e6
            os.utime(os.path.join(agent.dir, "run", "wake"))
            taken.append(max(map(usec_of, agent.await_events("patch-installed", n))) - begun)
            for c in children:
                bench.finish(c)
            # The floor: the command, typed at once.
            install(by_hand, old)
            children, _ = start(bench, by_hand, n)
            install(by_hand, new)
            begun = time.time() * 1e6
            r = subprocess.run([bench.staunch, "converge", "--root", typed], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
            if r.returncode != 4:
                raise RuntimeError(f"converge: exit {r.returncode}")
            floor.append(time.time() * 1e6 - begun)
            for c in children:
                bench.finish(c)
        bench.figures.add(f"end of dpkg to the last of {n} patched, median", statistics.median(taken) / 1000, "ms",
                          statistics.median(floor) / 1000, "floor: 'staunch converge' typed; 300 ms are waited for dpkg's next step")


def outdated_start(bench, agent, builds):
    program = os.path.join(agent.root, "target")
    install(program, builds[0])
    held = os.open(program, os.O_RDONLY)
    install(program, builds[1])
    taken, floor = [], []
    for _ in range(20):
        (child,), (began,) = start(bench, f"/proc/self/fd/{held}", 1, pass_fds=[held])
        taken.append(usec_of(agent.await_events("patch-installed", 1)[0]) - began)
        begun = time.time()
        subprocess.run([bench.staunch, "converge", "--dry-run", "--pid", str(child.pid)], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        floor.append((time.time() - begun) * 1e6)
        bench.finish(child)
    os.close(held)
    bench.figures.add("exec of an outdated image to patched, median", statistics.median(taken) / 1000, "ms",
                      statistics.median(floor) / 1000, "floor: looking at that process by a command; 20 ms are waited for it to begin")
    bench.figures.add("exec of an outdated image to patched, longest of 20", max(taken) / 1000, "ms")


def idle(bench, agent):
    crowd, _ = start(bench, os.path.join(agent.root, "target"), 1000)
    agent.ask("converge")
    try:
        resting(bench, agent)
    finally:
        for c in crowd:
            bench.finish(c)


def starts():
    with open("/proc/stat") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("processes "))


def window(bench, agent):
    """(processor, tasks started by anybody) a second, in a time in which it looked at nothing (somebody may install packages)."""
    for _ in range(10):
        while (status := agent.ask("status"))["busy"]:
            time.sleep(0.1)
        begun, before, others = time.monotonic(), agent.processor_sec(), starts()
        time.sleep(bench.args.idle_seconds)
        passed = time.monotonic() - begun
        found = (agent.processor_sec() - before) / passed, (starts() - others) / passed
        after = agent.ask("status")
        if after["rounds"] == status["rounds"] and not after["busy"]:
            return found
    raise RuntimeError("packages are being installed all the time")


def resting(bench, agent):
    pss, rss = agent.memory_kib()
    bench.figures.add("memory of its processes (PSS), 1,000 processes there", pss / 1024, "MiB", None,
                      f"{len(agent.pids())} processes; the bar is 15 MiB")
    bench.figures.add("memory of its processes (sum of RSS)", rss / 1024, "MiB", None, "what they share is counted for each")
    # What others start on this machine reaches every agent, but for one in a network namespace of its own.
    folder = os.path.join(bench.scratch, "quiet")
    os.makedirs(folder)
    quiet = Agent(bench.build, folder, agent.root, "unshare", "-n")
    try:
        quiet.ask("converge")
        spent = [window(bench, one) for one in (quiet, agent)]
        before = quiet.processor_sec()
        for _ in range(20):
            quiet.ask("converge")
        look = (quiet.processor_sec() - before) / 20
    finally:
        quiet.stop()
    bench.figures.add("processor time of one look at all processes", look * 1000, "ms", None, "every 5 minutes")
    bench.figures.add("processor while idle, looks included", (spent[0][0] + look / 300) * 100, "% of one", None,
                      "in a network namespace where nobody else's starts are seen; the bar is 0.1 %")
    bench.figures.add("processor while others work on the machine", spent[1][0] * 100, "% of one", None,
                      f"{spent[1][1]:.0f} tasks a second were started by them")


def storm(bench, agent, short):
    program = bench.compile("storm", "storm.c", 1)
    rates = []
    for watched in (False, True):
        if watched:
            os.kill(agent.process.pid, 18)
        else:
            os.kill(agent.process.pid, 19)
        time.sleep(0.2)
        before, begun, lost = agent.processor_sec(), time.monotonic(), agent.ask("status")["watch_lost"] if watched else 0
        out = subprocess.run([program, "2000", "5", short], capture_output=True, text=True, check=True).stdout.split()
        spent = (agent.processor_sec() - before) / (time.monotonic() - begun)
        rates.append((int(out[0]) / 5, float(out[1])))
    lost = agent.ask("status")["watch_lost"] - lost
    bench.figures.add("processor for the watch, 2,000 short processes a second", spent * 100, "% of one", None,
                      f"{rates[1][0]:.0f} a second were started; {lost} times events were lost")
    bench.figures.add("one short process, while the agent watches", rates[1][1], "us", rates[0][1], "floor: the same with a stopped agent")


def measure(bench):
    if os.geteuid() != 0:
        raise RuntimeError("only root may follow process starts")
    bench.figures.begin("agent")
    builds = [bench.compile("outdated", "outdated.c", v, "-Wl,--build-id") for v in (1, 2)]
    short = os.path.join(bench.scratch, "short")
    subprocess.run(["gcc", "-static", "-nostdlib", "-O2", "-x", "c", "-o", short, "-"], check=True, text=True,
                   input='void _start(void) { __asm__ volatile("syscall" : : "a"(60), "D"(0)); }')
    folder = os.path.join(bench.scratch, "agent")
    root = os.path.join(folder, "root")
    os.makedirs(root)
    agent = Agent(bench.build, folder, root)
    try:
        install(os.path.join(agent.root, "target"), builds[0])
        upgrade(bench, agent, builds)
        outdated_start(bench, agent, builds)
        install(os.path.join(agent.root, "target"), builds[0])
        idle(bench, agent)
        storm(bench, agent, short)
    finally:
        agent.stop()
    bench.figures.end()
