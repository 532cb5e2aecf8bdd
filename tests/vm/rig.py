# SPDX-License-Identifier: Apache-2.0
"""A virtual machine of the test's own: boots an image, runs commands in it, forwards ports of loopback to it,
and loses its power when told to."""

import json
import os
import queue
import shutil
import socket
import subprocess
import threading

import image

ADDRESS = "10.0.2.15"  # the guest's, on a network that has nobody but the host on it
HANG_SEC = 900  # no answer for so long is reported as a failure; nothing here comes near it

ROOTS = {None: "/dev/vda", "btrfs": "/dev/vdc rootflags=subvol=@", "lvm": "/dev/mapper/rig-root"}

PROBE_SEC = 60  # slower than this, kvm is not worth having


class Failed(Exception):
    """A check did not hold."""


class Gone(Exception):
    """The machine ended while something of it was waited for."""


class Hung(Failed):
    """The machine neither came up nor ended."""


class Result:
    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err


def accelerator(base):
    """kvm where a machine really runs with it, which the presence of the device does not say; else tcg."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK) or os.environ.get("STAUNCH_VM_ACCEL") == "tcg":
        return "tcg"
    try:
        p = subprocess.run(["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-machine", "q35",
                            "-accel", "kvm", "-cpu", "host", "-m", "256", "-kernel", base.kernel, "-initrd", base.initrd,
                            "-append", "console=ttyS0 quiet panic=-1 probe", "-serial", "stdio"],
                           stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=PROBE_SEC)
    except subprocess.TimeoutExpired:  # an emulation failure stops a machine and does not end it
        return "tcg"
    return "kvm" if b"the machine runs" in p.stdout else "tcg"


class Disk:
    """What a machine writes, over the image that all share. A copy of it is a snapshot."""

    def __init__(self, path, base=None):
        self.path = path
        if base:
            image.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, path])

    def copy(self, path):
        shutil.copy(self.path, path)
        return Disk(path)


class Command:
    """A command in the guest: its lines as they come, then how it ended."""

    def __init__(self, machine, number):
        self.machine, self.number, self.lines, self.rc = machine, number, queue.Queue(), None

    def each(self):
        """Yields ("out" or "err", text); ends with the command."""
        while True:
            try:
                message = self.lines.get(timeout=HANG_SEC)
            except queue.Empty:
                raise Failed("a command in the machine said nothing for a quarter of an hour") from None
            if message is None:
                raise Gone("the machine ended")
            if "end" in message:
                self.rc = message["end"]
                return
            kind = "out" if "out" in message else "err"
            yield kind, message[kind]

    def stop(self):
        self.machine.send(id=self.number, stop=True)


class Machine:
    def __init__(self, base, disk, folder, packages, ports=(), accel="tcg", memory=1024, extra=None, root=None, reboots=False):
        """`packages` is a tar file, the guest's /dev/vdb; `ports` those of the guest that are reached from here; `extra` a
        disk of its own, /dev/vdc, from which it boots when `root` names what is on it: see INIT of image.py. With `reboots` it
        comes back from a reboot, see next_boot(); otherwise it ends with one."""
        self.folder, self.console = folder, os.path.join(folder, "console.log")
        self._answers, self._number, self._write = {}, 0, threading.Lock()
        self.hello = queue.Queue()
        paths = [os.path.join(folder, n) for n in ("rig.sock", "qmp.sock")]
        for p in paths:
            if os.path.exists(p):
                os.unlink(p)
        forwards = "".join(f",hostfwd=tcp:127.0.0.1:0-{ADDRESS}:{p}" for p in ports)
        cpu = "host" if accel == "kvm" else "max,la57=off,svm=off"
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
             *([] if reboots else ["-no-reboot"]), "-machine", "q35", "-accel", "kvm" if accel == "kvm" else "tcg,thread=multi", "-cpu", cpu, "-smp", "2",
             "-m", str(memory), "-kernel", base.kernel, "-initrd", base.initrd,
             "-append", f"root={ROOTS[root]} rw console=ttyS0 loglevel=4 systemd.show_status=0 net.ifnames=0 panic=-1 "
                        # On a busy host an emulated timer comes too late for the kernel's test of it, which ends in a panic.
                        # The kernel's tests of its own ciphers take part of each boot, and once hung for ever.
                        "no_timer_check cryptomgr.notests"
                        f"{f' rig.root={root}' if root else ''}",
             "-drive", f"file={disk.path},if=virtio,format=qcow2,cache=writeback",
             "-drive", f"file={packages},if=virtio,format=raw,read-only=on",
             *(["-drive", f"file={extra.path},if=virtio,format=qcow2,cache=writeback"] if extra else []),
             "-serial", f"file:{self.console}", "-device", "virtio-rng-pci",
             "-netdev", f"user,id=n,restrict=on,net=10.0.2.0/24{forwards}", "-device", "virtio-net-pci,netdev=n",
             "-chardev", f"socket,id=rig,path={paths[0]},server=on,wait=off", "-device", "virtio-serial-pci",
             "-device", "virtserialport,chardev=rig,name=rig", "-qmp", f"unix:{paths[1]},server=on,wait=off"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            self._socket = self._connect(paths[0])
            threading.Thread(target=self._read, daemon=True).start()
            self.ports = self._forwarded(paths[1])
            self._await_boot()
        except BaseException:
            self.cut()
            raise

    def _await_boot(self):
        try:
            if self.hello.get(timeout=HANG_SEC) is None:
                raise Gone("the machine did not boot:\n" + self.tail())
        except queue.Empty:
            raise Hung("the boot hangs: nothing came of it in a quarter of an hour. Its console ends with:\n" +
                       self.tail()) from None

    def _connect(self, path):
        while True:
            s = socket.socket(socket.AF_UNIX)
            try:
                s.connect(path)
                return s
            except OSError:
                s.close()
                if self.process.poll() is not None:
                    raise Gone(self.process.stderr.read().decode(errors="replace").strip()) from None
                threading.Event().wait(0.02)

    def _forwarded(self, path):
        """guest's port -> the port here that qemu was given by the kernel."""
        with self._connect(path) as s, s.makefile("rw") as f:
            f.readline()
            for command in ({"execute": "qmp_capabilities"},
                            {"execute": "human-monitor-command", "arguments": {"command-line": "info usernet"}}):
                f.write(json.dumps(command) + "\n")
                f.flush()
                answer = json.loads(f.readline())
                while "return" not in answer:
                    answer = json.loads(f.readline())
        rows = [line.split() for line in answer["return"].splitlines() if "HOST_FORWARD" in line]
        return {int(r[5]): int(r[3]) for r in rows}

    def _read(self):
        try:
            for line in self._socket.makefile("r", encoding="utf-8", errors="replace", newline="\n"):
                message = json.loads(line)
                if "hello" in message:
                    self._end_commands()
                    self.hello.put(message["hello"])
                elif message["id"] in self._answers:
                    self._answers[message["id"]].lines.put(message)
        except (OSError, ValueError):
            pass
        self.hello.put(None)
        self._end_commands()

    def _end_commands(self):
        """Those of a boot that is over do not end by themselves."""
        for command in list(self._answers.values()):
            command.lines.put(None)
        self._answers.clear()

    def send(self, **message):
        with self._write:
            self._socket.sendall((json.dumps(message) + "\n").encode())

    def start(self, text):
        """Starts a shell command in the guest."""
        with self._write:
            self._number += 1
            command = self._answers[self._number] = Command(self, self._number)
        self.send(id=command.number, run=text)
        return command

    def run(self, text):
        command, out = self.start(text), {"out": [], "err": []}
        for kind, line in command.each():
            out[kind].append(line)
        return Result(command.rc, "".join(out["out"]), "".join(out["err"]))

    def check(self, text):
        """What it printed; it must end well."""
        r = self.run(text)
        if r.rc:
            raise Failed(f"'{text}' ended with {r.rc}:\n{r.out[-1500:]}{r.err[-1500:]}")
        return r.out

    def next_boot(self):
        """Returns when the machine, having rebooted by itself, is there again. What ran in it is gone."""
        self._await_boot()

    def off(self):
        """An orderly end."""
        self.start("systemctl poweroff")
        self.process.wait()
        self._close()

    def cut(self):
        """The power fails."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self):
        self.process.stderr.close()
        if hasattr(self, "_socket"):
            self._socket.close()

    def tail(self):
        with open(self.console, errors="replace") as f:
            return "".join(f.readlines()[-30:])
