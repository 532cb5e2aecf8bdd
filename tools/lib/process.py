# SPDX-License-Identifier: Apache-2.0
"""Processes of ours: which there are, what they map, whether replaced functions run."""

import ctypes
import fcntl
import os
import signal
import struct
import time

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    """Daemons that leave their parent become children of this process, and can be ended by it."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def parents():
    out = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as f:
                    text = f.read()
            except OSError:
                continue
            fields = text[text.rindex(")") + 2:].split()
            if fields[0] != "Z":
                out[int(name)] = int(fields[1])
    return out


def tree(pid):
    """The process and everything below it."""
    table = parents()
    out = [pid] if pid in table else []
    todo = [pid]
    while todo:
        p = todo.pop()
        below = [c for c, parent in table.items() if parent == p]
        out += below
        todo += below
    return out


def alive(pid):
    return pid in parents()


def comm(pid):
    try:
        with open(f"/proc/{pid}/comm") as f:
            return f.read().strip()
    except OSError:
        return "?"


def threads(pid):
    try:
        return [int(t) for t in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def maps(pid, prefix):
    """[(start, end, permissions, offset, path)] of mappings of files below `prefix`."""
    out = []
    try:
        with open(f"/proc/{pid}/maps") as f:
            lines = f.readlines()
    except OSError:
        return out
    for line in lines:
        fields = line.rstrip("\n").split(None, 5)
        if len(fields) == 6 and fields[5].startswith(prefix.rstrip("/") + "/"):
            start, end = (int(x, 16) for x in fields[0].split("-"))
            path = fields[5]
            if path.endswith(" (deleted)"):
                path = path[:-len(" (deleted)")]
            out.append((start, end, fields[1], int(fields[2], 16), path))
    return out


def images(pid, prefix):
    """{path: load address of its first mapping} of the executable images below `prefix`."""
    found = maps(pid, prefix)
    running = {m[4] for m in found if "x" in m[2]}
    return {path: min(m[0] - m[3] for m in found if m[4] == path) for path in running}


def end(pids):
    """Asks, then insists. Reaps what is a child of this process."""
    pids = [p for p in pids if alive(p)]
    for s, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        for p in pids:
            try:
                os.kill(p, s)
            except OSError:
                pass
        until = time.monotonic() + seconds
        while pids and time.monotonic() < until:
            for p in pids:
                try:
                    os.waitpid(p, os.WNOHANG)
                except OSError:
                    pass
            pids = [p for p in pids if alive(p)]
            if pids:
                time.sleep(0.02)
        if not pids:
            return


# Counting entries into functions by hardware breakpoints: the code is not touched, and the process
# is not traced. Four at a time, each in every thread.

_PERF_TYPE_BREAKPOINT = 5
_HW_BREAKPOINT_X = 4
_SYS_PERF_EVENT_OPEN = 298
_PERF_EVENT_IOC_DISABLE = 0x2401
SLOTS = 4


def _open_breakpoint(tid, address):
    attr = bytearray(128)
    # disabled 0, inherit 1 << 1 (threads born meanwhile), exclude_kernel 1 << 5, exclude_hv 1 << 6
    struct.pack_into("<IIQQQQQ", attr, 0, _PERF_TYPE_BREAKPOINT, len(attr), 0, 0, 0, 0,
                     (1 << 1) | (1 << 5) | (1 << 6))
    struct.pack_into("<I", attr, 52, _HW_BREAKPOINT_X)
    struct.pack_into("<QQ", attr, 56, address, 8)
    buffer = (ctypes.c_char * len(attr)).from_buffer(attr)
    fd = LIBC.syscall(_SYS_PERF_EVENT_OPEN, buffer, tid, -1, -1, 0)
    if fd < 0:
        raise OSError(ctypes.get_errno(), f"perf_event_open: {os.strerror(ctypes.get_errno())}")
    return fd


def count_entries(targets, seconds):
    """targets: [(pid, address)], at most SLOTS addresses a process. Returns the entries of each."""
    fds = []
    try:
        for pid, address in targets:
            mine = []
            for tid in threads(pid):
                try:
                    mine.append(_open_breakpoint(tid, address))
                except OSError:
                    if alive(pid) and tid in threads(pid):
                        for fd in mine:
                            os.close(fd)
                        raise
            fds.append(mine)
        time.sleep(seconds)
        for mine in fds:
            for fd in mine:
                fcntl.ioctl(fd, _PERF_EVENT_IOC_DISABLE, 0)
        return [sum(struct.unpack("<Q", os.read(fd, 8))[0] for fd in mine) for mine in fds]
    finally:
        for mine in fds:
            for fd in mine:
                try:
                    os.close(fd)
                except OSError:
                    pass


def jump_target(pid, address):
    """Where the jump at a replaced function's entry leads, or None when there is no jump. Follows
    `[endbr64] jmp rel8 -> jmp rel32` as well."""
    with open(f"/proc/{pid}/mem", "rb", 0) as f:
        def read(at, n):
            f.seek(at)
            return f.read(n)
        code = read(address, 16)
        if code[:4] == b"\xf3\x0f\x1e\xfa":
            address, code = address + 4, code[4:]
        if code[:1] == b"\xeb":
            address = address + 2 + struct.unpack("<b", code[1:2])[0]
            code = read(address, 5)
        if code[:1] != b"\xe9":
            return None
        return address + 5 + struct.unpack("<i", code[1:5])[0]
