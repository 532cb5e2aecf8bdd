/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/engine.h"
#include "proc/loaded.h"

/*
 * What a patched process says of itself: the first pages of a shadow in its memory. Status, revert
 * and replace need nothing else, and it is the journal: whoever finds an interrupted switch can
 * finish or undo it from this alone. Little-endian, fixed offsets; read as foreign bytes.
 */
enum {
        HEADER_VERSION = 3,
        HEADER_FIXED = 512, /* bytes of the part that is written for each process */
        HEADER_MAX_SIZE = 64 << 20,
        /* Of all headers in one process: each update leaves one behind, some kilobytes usually. */
        HEADERS_MAX = 1024,
        HEADERS_MAX_SIZE = 128 << 20,
};

/* What an interrupted switch was about to do. */
typedef enum HeaderOp { OP_NONE, OP_APPLY, OP_REVERT, OP_REPLACED } HeaderOp;

typedef struct HeaderSite {
        uint64_t old_addr, new_addr, patch_addr, jump_addr; /* vaddrs */
        uint8_t n;                                          /* bytes at patch_addr */
        uint8_t before[PATCH_SITE_BYTES], after[PATCH_SITE_BYTES];
        uint32_t name; /* offset in strings */
} HeaderSite;

typedef struct HeaderWord { /* PatchWord */
        uint64_t where, old_value, value;
        bool shadow; /* the value's base */
} HeaderWord;

typedef struct HeaderVariable { /* one that the patch added: PatchVariable */
        uint64_t addr, size, initial;
        uint64_t bound; /* the address that it has in an older shadow; 0: its own place in this one */
        uint32_t align;
        uint32_t name; /* offset in strings */
} HeaderVariable;

typedef struct HeaderRange { /* a carried function: new vaddr */
        uint64_t addr, size;
} HeaderRange;

typedef struct Header {
        uint32_t size; /* bytes in the process, whole pages */
        PatchState state;
        HeaderOp op;
        uint64_t txn;  /* the switch that state and op belong to */
        uint64_t self; /* its own address; a copy elsewhere is not a header */
        uint64_t image_base, shadow_base, lo, hi;
        uint64_t time_sec; /* when it was put in, last: CLOCK_REALTIME */
        uint8_t digest[32];
        BuildId old_id, new_id;
        char name[64];
        WayBack way_back;
        char way_back_why[WAY_BACK_WHY]; /* a first reason, cut off; "" unless unproved */
        bool startup_only;               /* ProcessPatch.startup_only */
        HeaderSite *sites;
        size_t n_sites;
        HeaderRange *code;
        size_t n_code;
        HeaderWord *words;
        size_t n_words;
        HeaderVariable *variables;
        size_t n_variables;
        PatchTestimony *testimonies;
        size_t n_testimonies;
        PatchUser *users;
        size_t n_users;
        char *strings; /* NUL-terminated names */
        size_t strings_size;
} Header;

void header_free(Header *h);
/* Bytes that `h` takes, whole pages. */
uint64_t header_size(const Header *h);
/* Writes all of it to `to` (header_size bytes, zeroed). */
void header_encode(const Header *h, uint8_t *to);
/* The part that differs between processes and changes with the state: HEADER_FIXED bytes. */
void header_encode_fixed(const Header *h, uint8_t to[HEADER_FIXED]);
/* -EBADMSG when it is not one. */
int header_decode(const uint8_t *bytes, size_t size, Header *out);
/* The address of a variable in the process. */
static inline uint64_t header_variable_at(const Header *h, size_t i) {
        return h->variables[i].bound ? h->variables[i].bound : h->shadow_base + h->variables[i].addr;
}
/* The offset of the `bound` field of variable i. */
uint64_t header_bound_at(const Header *h, size_t i);
/* The content of a word in the process, before and after. */
static inline uint64_t header_word_before(const Header *h, size_t i) {
        return h->image_base + h->words[i].old_value;
}
static inline uint64_t header_word_after(const Header *h, size_t i) {
        return (h->words[i].shadow ? h->shadow_base : h->image_base) + h->words[i].value;
}
/* Offsets of single fields, written while the threads are stopped. */
enum {
        HEADER_STATE_AT = 24,
        HEADER_STATE_BYTES = 24, /* state, op, txn, self */
        HEADER_TIME_AT = 80,     /* time_sec: 8 bytes */
};
void header_encode_state(const Header *h, uint8_t to[HEADER_STATE_BYTES]);

/* All headers in a process's memory; *out is malloc'ed, each to be freed with header_free. -E2BIG when there
 * are more, or larger ones, than can be ours: the process made them. */
int header_find(pid_t pid, const Maps *maps, Header **out, size_t *n, Error *e);
void headers_free(Header **h, size_t n);
/*
 * Is the image that was patched still the one that lies there? It may have been unloaded; it may even have
 * been loaded again at the same place: then its code was never written, its pages are the file's.
 */
bool header_is_current(pid_t pid, const Header *h, const Loaded *loaded, size_t n);
