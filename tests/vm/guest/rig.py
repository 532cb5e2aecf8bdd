# SPDX-License-Identifier: Apache-2.0
"""Inside the machine: runs the commands that come by the virtio serial port, one JSON object a line, and sends back
what they print, line by line, and how they ended."""

import glob
import json
import os
import signal
import subprocess
import threading


def port():
    for name in glob.glob("/sys/class/virtio-ports/*/name"):
        with open(name) as f:
            if f.read().strip() == "rig":
                return os.open("/dev/" + name.split("/")[-2], os.O_RDWR)
    raise SystemExit("no virtio port of the rig")


PORT = port()
WRITE = threading.Lock()
RUNNING = {}


def send(**message):
    data = (json.dumps(message) + "\n").encode()
    with WRITE:
        while data:
            data = data[os.write(PORT, data):]


def forward(job, stream, name):
    for line in stream:
        send(id=job, **{name: line.decode(errors="replace")})


def work(job, command):
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C", HOME="/root", SYSTEMD_PAGER="",
               PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    p = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env=env, start_new_session=True)
    RUNNING[job] = p
    errors = threading.Thread(target=forward, args=(job, p.stderr, "err"))
    errors.start()
    forward(job, p.stdout, "out")
    errors.join()
    rc = p.wait()
    del RUNNING[job]
    send(id=job, end=rc)


def main():
    with open("/proc/sys/kernel/random/boot_id") as f:
        send(hello=f.read().strip())
    buffer = b""
    while True:
        got = os.read(PORT, 65536)
        if not got:  # nobody is connected
            threading.Event().wait(0.05)
            continue
        buffer += got
        *lines, buffer = buffer.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "run" in message:
                threading.Thread(target=work, args=(message["id"], message["run"]), daemon=True).start()
            elif message["id"] in RUNNING:
                os.killpg(RUNNING[message["id"]].pid, signal.SIGTERM)


main()
