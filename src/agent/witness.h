/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Whose word counts against a patch. Anybody can make a process of their own crash or burn its processor, and
 * would be rid of a fix on the whole machine: so the machine's own services are believed, users and
 * containers only when two of them say the same.
 */
typedef struct Witness {
        bool trusted;  /* a system service, or a system user's process in our own namespaces */
        uint32_t user; /* real user id; WITNESS_FOREIGN: of another user or process namespace */
} Witness;

enum { WITNESS_FOREIGN = UINT32_MAX };

/* A service of the machine's own manager; not a user's manager, nor a scope (a session, or all of a
 * container). */
bool is_system_service(const char *unit);
/* `unit`: its systemd unit, "" when none. What can't be read any more is not trusted. */
Witness witness_of(pid_t pid, const char *unit);
