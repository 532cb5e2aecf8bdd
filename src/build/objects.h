/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "build/passes.h"
#include "build/values.h"

/* All words of [addr, addr + size) that are relocated lead to constants: to no functions (objects keep the
 * address of such a table and call through it), to no other tables. */
bool object_leads_to_constants(const Code *code, uint64_t addr, uint64_t size);
/* The object of read-only relocated data that the address lies in, as far as it may reach. *w is made when it
 * is first needed; whoever calls frees it. */
void object_whole(const Diff *d, Values **w, Side side, uint64_t addr, uint64_t *from, uint64_t *size);
