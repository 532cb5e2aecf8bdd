#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""terminal.py PROGRAM ARGUMENT...: runs it on a terminal, passes on what it prints, and its exit code."""

import os
import pty
import sys

os.environ["TERM"] = "xterm"
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
