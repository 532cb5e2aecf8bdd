/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/stage.h"
#include "apply/switch.h"
#include "proc/loaded.h"

/* Work on one process, inside the guardian. */

typedef struct ShadowCache { /* shadows made so far in this run: shared by processes */
        Shadow **items;
        size_t n, room;
} ShadowCache;

typedef struct Session {
        pid_t pid;
        const EngineOptions *options;
        ShadowCache *cache;
        EngineResult *res;
        Maps maps;
        Loaded *loaded;
        size_t n_loaded;
        Header *headers;
        size_t n_headers;
        uint64_t gate;
        bool single; /* it had one thread */
        int mem_fd;  /* the memory that the process had before anything else was read of it, and that is
                        written to, whatever it executes meanwhile; locked: one engine at a time works on a
                        process */
} Session;

/* Reads what there is to know of the process, and finishes or undoes an interrupted switch that it
 * finds. ENGINE_REFUSED when the process cannot be worked on. */
int session_open(Session *s, pid_t pid, const EngineOptions *options, ShadowCache *cache, EngineResult *res,
                 Error *e);
void session_close(Session *s);
/* Reads maps, images and headers anew. */
int session_read(Session *s, Error *e);

/* Opens a thread of the process for system calls. ENGINE_REFUSED when none can be had. */
int session_remote(Session *s, Remote *out, Error *e);

int session_apply(Session *s, const Patch *const *patches, size_t n, Error *e);
int session_revert(Session *s, const uint8_t *digest, Error *e);
int session_repair(Session *s, Error *e);

/* The image that the header speaks of is still there: header_is_current. */
bool header_counts(const Session *s, const Header *h);
/* Adds the carried functions of a shadow, and the bytes of its sites, as places where no thread may be. */
void add_shadow_ranges(const Session *s, const Header *h, SafeSet *set);
void add_site_bytes(const Header *h, SafeSet *set);
/* Adds what stands on a stack in the place of a return address that a tracer's probe (uretprobe) has hidden.
 */
void add_probes(const Session *s, SafeSet *set);
/* Adds the bytes of its sites and its words: to what the patch wants, or (out) back. Owners are counted
 * from `owner`, sites first. */
void add_header_edits(const Header *h, bool out, bool either, uint32_t owner, Edits *edits);
const char *header_site_name(const Header *h, size_t i);
