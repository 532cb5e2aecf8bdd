/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "elf/image.h"
#include "proc/maps.h"

/*
 * The ELF images that a process has loaded, from its mappings and the first bytes of the files
 * behind them: cheap (no file is read whole).
 */

enum { LOADED_MAX_SEGMENTS = 64 };

/* The heads of an ELF file: header, program headers, build-id. */
typedef struct ElfHead {
        BuildId build_id;
        uint16_t type;
        uint64_t entry;
        ImageSegment segments[LOADED_MAX_SEGMENTS]; /* PT_LOAD */
        size_t n_segments;
        uint64_t dynamic, dynamic_size; /* vaddr; 0: none */
        uint64_t lo, hi;                /* page-aligned span of the segments */
} ElfHead;

/* Positive outcome when it is no x86-64 ELF image: */
enum { ELF_HEAD_FOREIGN = 1 };
int elf_head_read(int fd, ElfHead *out);
/* Is the file a 32-bit ELF image? */
bool elf_head_is_32bit(int fd);

typedef struct Loaded {
        uint64_t base; /* address = base + vaddr */
        ElfHead head;
        dev_t device; /* with `inode`: the file, as long as somebody has it open or mapped */
        ino_t inode;
        const Mapping *text; /* one executable mapping of it, in the Maps it was made from */
        bool unusual;        /* text shared, writable, or not one mapping a segment */
} Loaded;

/* All images with an executable file mapping; *out is malloc'ed, sorted by base. One thread at a time: heads
 * of files are kept, by what stat() tells of them. */
int loaded_list(pid_t pid, const Maps *maps, Loaded **out, size_t *n, Error *e);
