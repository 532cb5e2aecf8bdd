/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/sandbox.h"

#include <jansson.h>

/* What vault and net have in common: they are started with their end of the channel as descriptor
 * CHILD_CHANNEL. */
enum { CHILD_CHANNEL = 3 };

/* Narrows this process and says so over the channel; ends it when that fails. `program` is for messages. */
void child_begin(const char *program, SandboxRole role);
/* Logs to the error output in the form that the journal knows levels by. */
void child_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* {"error": text, "code": code} */
json_t *child_error(const Error *e);
