#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""metrics.py STAUNCHD STAUNCH PACKAGING [--promtool]: what the agent's metrics say, on both sockets, and that rules and
dashboard name metrics that exist. With --promtool: what Prometheus' own checker says of them."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys

from machine import Builds, Machine, equal, only_root, run

STAUNCHD, STAUNCH, PACKAGING = sys.argv[1:4]
PROMTOOL = "--promtool" in sys.argv
RULES = os.path.join(PACKAGING, "prometheus", "staunch.rules.yml")
SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((weak)) int answer(int x) { return x + NEW; }
int main(void) {
        char line[64];
        while (fgets(line, sizeof(line), stdin)) {
                printf("%d\n", answer(atoi(line)));
                fflush(stdout);
        }
        return 0;
}
"""


class Local(http.client.HTTPConnection):
    """Over the local socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def scrape(connection, path="/metrics", method="GET", **headers):
    try:
        connection.request(method, path, headers=headers)
        r = connection.getresponse()
        return r.status, r.getheader("Content-Type"), r.read().decode()
    finally:
        connection.close()


def values(text):
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}


def metrics_of_a_patched_machine(m):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    m.configure(f'''[metrics]
listen = "127.0.0.1:{port}"
[[probe]]
process = "target"
name = "quote \\" and \\\\ and ü"
command = ["/bin/true"]
interval = "50ms"
[[probe]]
process = "target"
name = "fails"
command = ["/bin/false"]
interval = "50ms"
''')
    t = m.target()
    m.start()
    m.install(2)
    equal(m.ask("converge")["ok"], True, "the round")
    equal(t.ask(1), 3, "the patched target")
    m.await_event("probe-failed")
    path = os.path.join(m.dir, "run", "metrics.sock")
    equal(os.stat(path).st_mode & 0o777, 0o660, "the local socket's mode")
    status, kind, text = scrape(Local(path))
    equal((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"), "the answer")
    have = values(text)
    equal(have['staunch_patches_total{outcome="applied"}'], 1, "patches applied")
    assert have['staunch_processes{state="patched"}'] >= 1, have
    equal(have['staunch_events_total{kind="patch-installed"}'], 1, "events")
    equal(have["staunch_pause_seconds_count"], 1, "pauses")
    equal(have["staunch_comparison_seconds_count"], 1, "comparisons")
    assert have["staunch_rounds_total"] >= 1 and have["staunch_start_time_seconds"] > 1e9, have
    equal(have['staunch_probe_success{subject="process target",probe="fails"}'], 0, "the probe that fails")
    equal(have['staunch_probe_success{subject="process target",probe="quote \\" and \\\\ and ??"}'], 1, "the other probe")
    # The loopback port says the same; OpenMetrics only to who asks for it.
    status, kind, same = scrape(http.client.HTTPConnection("127.0.0.1", port))
    equal((status, set(values(same))), (200, set(have)), "the loopback port's answer")
    status, kind, open_text = scrape(Local(path), Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    equal(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8", "the kind")
    assert open_text.endswith("# EOF\n") and "# TYPE staunch_rounds counter\n" in open_text, open_text
    status, kind, _ = scrape(Local(path), Accept="text/plain, application/openmetrics-text;q=0.1")
    assert kind.startswith("text/plain"), kind
    equal(scrape(Local(path), "/")[0], 404, "another path")
    equal(scrape(Local(path), method="POST")[0], 405, "another method")
    equal(scrape(Local(path), method="HEAD")[2], "", "a HEAD")
    # Clients that say nothing, or rubbish, hold nobody up.
    idle = [socket.socket(socket.AF_UNIX) for _ in range(4)]
    for s in idle:
        s.connect(path)
    idle[0].send(b"GET /met")
    idle[1].send(b"\0\xff" * 5000)
    equal(scrape(Local(path))[0], 200, "an answer beside idle clients")
    for s in idle:
        s.close()
    # The port goes with the policy.
    m.configure("")
    equal(m.ask("reload")["ok"], True, "another policy")
    equal(scrape(Local(path))[0], 200, "the local socket, with another policy")
    try:
        scrape(http.client.HTTPConnection("127.0.0.1", port))
        raise AssertionError("the port that is configured no more still answers")
    except OSError:
        pass
    names = {re.match(r"[a-z_]+", key)[0] for key in have}
    for file in (RULES, os.path.join(PACKAGING, "grafana", "staunch.json")):
        text_of = open(file).read()
        if file.endswith(".json"):
            board = json.loads(text_of)
            text_of = "\n".join(t["expr"] for p in board["panels"] for t in p["targets"])
            assert len(board["panels"]) >= 10
        used = set(re.findall(r"\bstaunch_[a-z_]+", text_of))
        assert used, file
        equal(used - names, set(), f"metrics in {os.path.basename(file)} that do not exist")
    documented = {name: kind for row in open(os.path.join(PACKAGING, "..", "docs", "metrics.md"))
                  for kind in re.findall(r"^\|.*?\| (gauge|counter|histogram) \|", row)
                  for name in re.findall(r"`(staunch_[a-z_]+)", row.split(f" | {kind} |")[0])}
    equal(documented, dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)), "the metrics of docs/metrics.md")
    if PROMTOOL:
        check(["check", "metrics"], text)
        check(["check", "rules", RULES])


def check(args, text=""):
    r = subprocess.run(["promtool", *args], input=text, capture_output=True, text=True)
    if r.returncode != 0 or "error" in r.stderr:
        raise AssertionError(f"promtool {' '.join(args)}: {r.stdout}{r.stderr}")


only_root()
if PROMTOOL and not shutil.which("promtool"):
    print("promtool is not there: Debian's package prometheus has it")
    sys.exit(77)
with Builds() as builds:
    for version in (1, 2):
        builds.compile(version, SOURCE, f"-DNEW={version}")
    code = run([metrics_of_a_patched_machine], [], lambda: Machine(STAUNCHD, builds))
sys.exit(code)
