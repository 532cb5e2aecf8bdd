#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# doctor: of a machine described in a folder, and of this one.
. "$(dirname "$0")/lib.sh"

root=$tmp/machine
mkdir -p "$root/proc/sys/kernel/yama"
expect 0 doctor --root "$root"
says '^Kernel$'
says '^  warning  *seccomp  *the kernel has no seccomp filters$'
says ' 0 problems, [0-9]* warnings'
expect 0 doctor --root "$root" --json
shape doctor

echo 3 >"$root/proc/sys/kernel/yama/ptrace_scope"
expect 3 doctor --root "$root"
says '^  problem  *ptrace-scope  *kernel.yama.ptrace_scope is 3'
says 'ptrace_scope = 2'
says ' 1 problem,'
expect 3 doctor --root "$root" --json
shape doctor
value "j['problems']" 1

expect 2 doctor --root relative
expect 2 doctor operand

# What this machine lacks is not known here, only that it is told.
"$staunch" doctor --json >"$tmp/out" 2>"$tmp/err"
code=$?
[ $code = 0 ] || [ $code = 3 ] || fail "doctor of this machine: exit code $code"
shape doctor
finish
