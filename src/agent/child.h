/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/sandbox.h"

#include <jansson.h>
#include <syslog.h>

/* How a narrowed child of the applier begins: its end of the channel is descriptor CHILD_CHANNEL. */
enum { CHILD_CHANNEL = 3 };

/* Narrows this process and says so over the channel; ends it when that fails. `program` is for messages. */
void child_begin(const char *program, SandboxRole role);
/* Logs to the error output in the form that the journal knows levels (LOG_ERR, ...) by. */
void child_log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* {"error": text, "code": code} */
json_t *child_error(const Error *e);
