# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of processes here."""

import os


def told_of_processes():
    """It tells of starts and ends only who is in its first pid and user namespaces: nobody in a container."""
    return [os.stat(f"/proc/self/ns/{n}").st_ino for n in ("pid", "user")] == [0xEFFFFFFC, 0xEFFFFFFD]
