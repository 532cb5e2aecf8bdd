# SPDX-License-Identifier: Apache-2.0
import json
import threading

from common import Live, need


class Iperf3(Live):
    name = "iperf3"
    source = "iperf3"
    packages = ("iperf3", "libiperf0")
    workers = 1
    forks = True  # the clients run from the same root, and end

    one_at_a_time = threading.Lock()  # the server refuses a second client meanwhile

    def start(self):
        self.spawn([self.path("usr/bin/iperf3"), "-s", "-B", "127.0.0.1", "-p", self.port])

    def request(self):
        with self.one_at_a_time:
            self.measure()

    def measure(self):
        out = json.loads(self.run([self.path("usr/bin/iperf3"), "-c", "127.0.0.1", "-p", self.port, "-n", "1M", "-J"]))
        need("error" not in out, out.get("error"))
        need(out["end"]["sum_sent"]["bytes"] > 0, "nothing was sent")
