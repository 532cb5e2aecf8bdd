/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/witness.h"
#include "apply/engine.h"
#include "proc/list.h"

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
/* Notes what the process carries now (nothing: forgets it), and what its end is worth. */
void crash_note(CrashBook *b, const Process *process, Witness witness, const ProcessPatch *patches, size_t n);
/* The process ended; forget it, once it was asked for. */
void crash_forget(CrashBook *b, pid_t pid);
/* One that is noted; NULL: it is not. */
const Process *crash_process(const CrashBook *b, pid_t pid);
/* The i-th process noted; 0: there are no more. */
pid_t crash_noted(const CrashBook *b, size_t i);

/*
 * Takes apart a kernel line such as "nginx[123]: segfault at 0 ip 00007f... sp 00007f... error 4 in ..." or
 * "traps: nginx[123] general protection fault ip:... sp:... error:0". False when it is none.
 */
bool crash_parse_line(const char *line, pid_t *pid, uint64_t *ip);

/* Keeps what such a line said, until the end of the process is told, too; the newest 64. */
void crash_saw(CrashBook *b, pid_t pid, uint64_t ip);

typedef enum CrashPlace { CRASH_UNKNOWN, CRASH_OUTSIDE, CRASH_INSIDE } CrashPlace;
/*
 * Where the process was, by what was seen, and in *patch the patch to be named: the one that it was inside
 * of, else any that it carried. NULL: it carried none. The kernel names the thread: a line about another id
 * than the process's counts when its address lies inside one of the process's patches, and only then.
 */
CrashPlace crash_place(const CrashBook *b, pid_t pid, const ProcessPatch **patch);
/*
 * Counts a crash of that process, which carried the patch, and says whether the patch is to blame: a crash
 * inside of it, or the third without a known place, of which those count that come no later than
 * `within_usec` after the patch. (When the clock was put back meanwhile, it counts.) Crashes of processes
 * that are not trusted are counted by themselves, and only from two users on.
 */
bool crash_convicts(CrashBook *b, pid_t pid, const ProcessPatch *p, CrashPlace place, uint64_t now_usec,
                    uint64_t within_usec); /* CLOCK_REALTIME */
