/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <jansson.h>
#include <stddef.h>

/*
 * One message between the agent's processes: a JSON object and up to CHANNEL_FDS file descriptors, over a
 * SOCK_SEQPACKET pair. What is longer than CHANNEL_MAX travels as a sealed memfd.
 */
enum { CHANNEL_MAX = 64 << 10, CHANNEL_FDS = 2 };

/* Two connected ends, close-on-exec. */
int channel_pair(int ends[2], Error *e);
/* Sends; releases `j`; the descriptors stay the caller's. -EPIPE when the other end is gone. */
int channel_send(int fd, json_t *j, const int *fds, size_t n_fds, Error *e);
/*
 * Waits for one message; *out is a new reference, fds[0..*n_fds) are the caller's (unused ones are -1).
 * -EPIPE when the other end is gone; -EBADMSG for what is not a message.
 */
int channel_receive(int fd, json_t **out, int fds[CHANNEL_FDS], size_t *n_fds, Error *e);

/* A memfd with that content which nobody can change any more. Negative: errno. */
int channel_memfd(const char *name, const void *bytes, size_t size, Error *e);
/* Is the descriptor a memfd that nobody can change or shrink any more? */
int channel_sealed(int fd, Error *e);
