/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/stage.h"

/*
 * Staging with few stops: the thread runs a short piece of code, which lies in the slack of the patch's own
 * code, makes all system calls of a table in a row, and stops. If we die meanwhile it puts the thread's
 * registers back by itself. docs/safety.md, "Staging".
 */

/* Bytes of the code, and the code itself. `distance`: address of the header less that of the place it is
 * written for. */
size_t chain_size(void);
void chain_write(uint8_t *to, int64_t distance);

/*
 * Reserves [s->start, s->end) and maps all pieces of the shadow there; what they hold is not written yet
 * (from a memfd, it is there). *shared: they are mapped from the memfd. Positive outcomes: STAGE_TAKEN, or
 * CHAIN_UNFIT: this process, thread or patch has to do with single calls. Nothing is left behind then.
 */
enum { CHAIN_UNFIT = 2 };
int chain_map(Remote *remote, const Staged *s, int mem_fd, bool *shared, Error *e);
