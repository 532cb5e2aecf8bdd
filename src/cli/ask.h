/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <jansson.h>

/*
 * Asks the agent over its control socket; *out is a new reference. -ENOENT or -ECONNREFUSED: no agent runs;
 * -EACCES: only root may ask; -ETIMEDOUT: it did not answer within `timeout_sec` (0: it is waited for).
 */
int agent_ask(const char *path, const char *op, unsigned timeout_sec, json_t **out, Error *e);
