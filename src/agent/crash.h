/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which patch, if any, a process died of. What a process carried is noted while it lives; its end comes from
 * the process events connector, where it was then from the kernel's own line about it.
 */
typedef struct CrashBook CrashBook;

CrashBook *crash_book_new(void);
CrashBook *crash_book_free(CrashBook *b);
/* Notes what the process carries now (nothing: forgets it). */
void crash_note(CrashBook *b, pid_t pid, const ProcessPatch *patches, size_t n);
/* The process ended; forget it, once it was asked for. */
void crash_forget(CrashBook *b, pid_t pid);
/* The i-th process noted; 0: there are no more. */
pid_t crash_noted(const CrashBook *b, size_t i);

/*
 * Takes apart a kernel line such as "nginx[123]: segfault at 0 ip 00007f... sp 00007f... error 4 in ..." or
 * "traps: nginx[123] general protection fault ip:... sp:... error:0". False when it is none.
 */
bool crash_parse_line(const char *line, pid_t *pid, uint64_t *ip);

/* The patch whose code the address lies in; NULL: none, or the process is not known. */
const ProcessPatch *crash_blame(const CrashBook *b, pid_t pid, uint64_t ip);
/* Any patch that the process carried, for when nothing is known about where it was. NULL: none. */
const ProcessPatch *crash_any(const CrashBook *b, pid_t pid);
/* How many processes that carried this patch ended by a crash without a known place, this one counted. */
unsigned crash_suspect(CrashBook *b, const ProcessPatch *p);
