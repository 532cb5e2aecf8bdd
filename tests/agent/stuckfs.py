#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""stuckfs.py FOLDER FILE: mounts a file system with this one file, "target", which answers as long as it is asked
kindly: once it has read a line from its standard input it answers nothing any more, as a server that is gone."""

import ctypes
import os
import select
import struct
import sys

folder, path = sys.argv[1:]
with open(path, "rb") as f:
    content = f.read()
fuse = os.open("/dev/fuse", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
if libc.mount(b"stuck", folder.encode(), b"fuse", 0, options.encode()) < 0:
    print(os.strerror(ctypes.get_errno()), flush=True)
    sys.exit(1)
print("mounted", flush=True)
LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT, OPENDIR, RELEASEDIR = 1, 2, 3, 14, 15, 18, 25, 26, 27, 29


def attributes(node):
    mode, size = (0o40755, 0) if node == 1 else (0o100755, len(content))
    return struct.pack("<6Q10I", node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


while True:
    ready, _, _ = select.select([fuse, sys.stdin], [], [])
    if sys.stdin in ready:
        sys.stdin.readline()
        print("stuck", flush=True)
        sys.stdin.read()  # until it is ended
        break
    request = os.read(fuse, 1 << 17)
    _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
    rest, error, answer = request[40:], 0, b""
    if opcode == INIT:
        answer = struct.pack("<4I2H2I2HI7I", 7, 31, 1 << 16, 0, 16, 12, 1 << 16, 1, 0, 0, 0, *[0] * 7)
    elif opcode == LOOKUP and rest.rstrip(b"\0") == b"target":
        # Nothing is cached: every look asks again.
        answer = struct.pack("<4Q2I", 2, 0, 0, 0, 0, 0) + attributes(2)
    elif opcode == LOOKUP:
        error = -2
    elif opcode == GETATTR:
        answer = struct.pack("<QII", 0, 0, 0) + attributes(node)
    elif opcode in (OPEN, OPENDIR):
        answer = struct.pack("<QII", 0, 0, 0)
    elif opcode == READ:
        _, offset, size = struct.unpack_from("<QQI", rest)
        answer = content[offset:offset + size]
    elif opcode == FORGET:
        continue
    elif opcode not in (RELEASE, RELEASEDIR, FLUSH):
        error = -38
    os.write(fuse, struct.pack("<IiQ", 16 + len(answer), error, unique) + answer)
