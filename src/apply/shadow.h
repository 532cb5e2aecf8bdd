/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/header.h"

/*
 * The content of a shadow at one distance from the image: everything that is the same in every
 * process. Made once, held in a memfd, mapped by all of them.
 */

typedef struct ShadowPiece { /* pages of one protection */
        uint64_t addr, size; /* new vaddr, whole pages */
        uint64_t offset;     /* in the content */
        int prot;            /* PROT_* */
} ShadowPiece;

typedef struct Shadow {
        const Patch *patch;
        int64_t delta;        /* shadow_base - image_base */
        uint64_t header_size; /* the header lies below `lo`, and is the start of the content */
        uint8_t *content;
        size_t content_size;
        uint64_t chain_addr; /* new vaddr of the code of apply/chain.h in the slack of a piece; 0: there is no
                                room */
        ShadowPiece *pieces; /* sorted by addr */
        size_t n_pieces;
        size_t *late; /* relocations whose value depends on the process */
        size_t n_late;
        Header header; /* as STAGED, without what depends on the process */
        int memfd;     /* sealed; -1: could not be made */
        bool no_sharing;
} Shadow;

/* Positive outcome: SHADOW_FAR: a relocation does not reach at this distance. */
enum { SHADOW_FAR = 1 };
int shadow_new(const Patch *p, int64_t delta, bool share, Shadow **out, Error *e);
void shadow_free(Shadow *s);

/* Span of the shadow in new vaddrs: header and sections. */
uint64_t shadow_lo(const Patch *p);
static inline uint64_t shadow_hi(const Patch *p) {
        return p->hi;
}

/* The offset in the content of `size` bytes at new vaddr `addr`, or SIZE_MAX. */
size_t shadow_offset(const Shadow *s, uint64_t addr, uint64_t size);

/* Distances to try, nearest choice first: the same order in every process. `fits` gets start and end. */
enum { PLACE_MAX = 16 };
/* Other addresses that its code must reach: [lo, hi); 0 and 0: none. */
size_t place_candidates(const Patch *p, uint64_t image_base, const Maps *maps, uint64_t lo, uint64_t hi,
                        int64_t out[PLACE_MAX]);
