/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"
#include "verify/probe.h"

#include <sys/types.h>

/*
 * Starts what must not be as the applier is, which can trace every process: what is started inherits the
 * starter's few capabilities instead. A process of its own, from before the applier is narrowed, that keeps
 * nothing but becoming another user: it starts staunch-net, and runs probes that are commands, each as its
 * user with limits.
 */
typedef struct Starter {
        pid_t pid;
        int channel; /* -1: it does not run. Its answers are as net's: {"probe": id, "usec", "failed"} */
} Starter;

/* Before the sandbox, with the signals blocked that the caller handles. */
int starter_begin(Starter *s, Error *e);
/* Starts a program of the agent's with this end of a channel; one of the name before is killed. */
int starter_start(const Starter *s, const char *program, int channel, Error *e);
/* Runs a probe that is a command. It is not waited for. */
int starter_probe(const Starter *s, unsigned id, const Probe *p, Error *e);
void starter_end(Starter *s);
