/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/session.h"

/* Finds the address of every import of a patch in the process. *out is malloc'ed, one address an
 * import, and written on success. ENGINE_REFUSED: IMPORT_UNRESOLVED. */
int imports_resolve(Session *s, const Patch *p, uint64_t image_base, int mem_fd, uint64_t **out, Error *e);
/* The address of a function that one image defines, whatever its version; 0: none. */
uint64_t import_defined(const Session *s, const Loaded *l, const char *name);
