/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/*
 * What each of the agent's processes may do, taken away from it before it reads its first message. It is
 * one-way and inherited. docs/agent.md says what each role keeps, test-sandbox.c tries what it must not be
 * able to do.
 *
 * The applier has no seccomp filter: only a tracer without one may suspend that of another process
 * (PTRACE_O_SUSPEND_SECCOMP, ptrace(2)), and most services have one. Its capabilities bound it.
 */
typedef enum SandboxRole { SANDBOX_APPLIER, SANDBOX_EXECUTOR, SANDBOX_VAULT, SANDBOX_NET } SandboxRole;

typedef struct SandboxReport {
        bool user;         /* runs as the agent's own unprivileged user (not the applier) */
        bool capabilities; /* all but the role's own are gone, for good */
        bool seccomp;      /* (not the applier) */
        int landlock;      /* ABI version in force; 0: the kernel has none, or the role needs none */
} SandboxReport;

/* The user that vault and net run as; nobody when there is none; who is not root stays what he is. */
#define SANDBOX_USER "staunch"

/*
 * Must be called before there are threads. What the kernel lacks is left out and shows in the report; what it
 * has and refuses is an error: the caller must not go on.
 */
int sandbox_enter(SandboxRole role, SandboxReport *out, Error *e);
/* From now on this process can have threads, but no children: nothing of it outlives it. */
int sandbox_childless(Error *e);
