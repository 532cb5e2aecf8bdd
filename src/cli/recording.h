/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/cli.h"
#include "evidence/begun.h"

/* What is done by hand is recorded as what the agent does is: in its history and its events, where there is
 * an agent. */
typedef struct Recording {
        Store *store; /* NULL: there is no agent's state, or it can't be written */
        Error failed; /* code != 0: it can't */
        Recorder rec;
        Begun begun;
} Recording;

void recording_open(Recording *r, const Options *o);
/* Before the engine is asked to put the patch into the process, or (`reverts`) to take it out. */
void recording_begins(Recording *r, const Process *p, bool reverts, const char *image, const BuildId *old_id,
                      const BuildId *new_id, const uint8_t digest[DIGEST_SIZE]);
/* So that events tell of the package, also where no agent has seen this pair of builds. */
void recording_want(Recording *r, const Converged *c);
/* `by`: "by 'staunch apply'". Of a refusal or an error nothing is told but what may work later. */
void recording_add(Recording *r, StoreAction *a, const char *by, bool again);
void recording_close(Recording *r);
/* Says that nothing was recorded, and why; silent when that is not ours to do. */
void recording_warn(const Recording *r);
