/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdint.h>

/*
 * A probe that is a command, in a process that is made for it and ends afterwards: as its user, which is
 * never root, without privileges to gain, and with limits.
 */

/* What such a process keeps of root's capabilities: becoming that user, and ending what runs too long. */
int command_probe_narrow(Error *e);
/* Runs it. *usec: how long that took. Limits this process and its children for good. */
int command_probe(const char *const *argv, const char *user, uint64_t timeout_usec, const char *expect,
                  uint64_t *usec, Error *e);
