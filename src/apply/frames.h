/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/session.h"

/*
 * Unwind data of a staged patch is made known to the process's own unwinder (libgcc), which knows only
 * of images that the dynamic linker loaded: else no exception, cancellation or backtrace gets through
 * replaced code. Its function for that runs in a thread of the process while the others go on, so that a
 * lock that one of them holds is let go of.
 *
 * From then on the shadow is never unmapped: its header is marked as that of a reverted patch, to be put
 * to use again. *kept says so, also on failure. ENGINE_REFUSED: UNWIND_NEEDED.
 */
int frames_register(Session *s, Staged *staged, int mem_fd, bool *kept, Error *e);
