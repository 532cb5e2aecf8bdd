/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "evidence/step.h"

/* What the patches that processes carry fix: found in a fork, which may read the state, and told to the loop
 * through a file, as notes.h tells what they carry. */

/* Of this pair of builds, unless `known` has it, which gets it too: it is the fork's own copy. */
void fixes_write(int fd, Steps *from, Steps *known, const BuildId *old_id, const BuildId *new_id);
/* Adds what a fork wrote. */
void fixes_take(int fd, Steps *known);
