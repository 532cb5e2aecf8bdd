/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/blocks.h"
#include "base/cursor.h"
#include "elf/image.h"

#include <gelf.h>

/* What the parts of the reader share; private to image*.c. */

enum { IMAGE_MAX_SECTIONS = 1 << 18, IMAGE_MAX_SEGMENTS = 4096, IMAGE_MAX_ADDR_BITS = 47 };

/* The image with the indexes that its look-ups use. An Image is always the first member of one. */
typedef struct SectionAddress {
        uint64_t addr;
        const ImageSection *section;
} SectionAddress;

typedef struct ImageInner {
        Image image;
        SectionAddress *by_addr; /* allocated, not empty, not .tbss */
        size_t n_by_addr;
        Blocks section_blocks, plt_blocks;
} ImageInner;

typedef struct ImageParse {
        Image *image;
        GElf_Shdr *headers;  /* parallel to image->sections */
        GElf_Phdr *segments; /* all program headers, not only PT_LOAD */
        size_t n_segments;
        /* A file that holds debug information alone: its program headers speak of another file. */
        bool debug_only;
        /* From the dynamic section; 0: absent. */
        uint64_t symtab, strtab, strtab_size, pltgot;
        uint64_t rela, rela_size, jmprel, jmprel_size, relr, relr_size;
        Error *e;
} ImageParse;

/* Each returns 0 or -EBADMSG with a text that begins with the path. */
int image_parse_dynamic(ImageParse *p);
int image_parse_symbols(ImageParse *p);
int image_parse_relocs(ImageParse *p);
int image_parse_eh(ImageParse *p);
int image_parse_plt(ImageParse *p);
/* The identification and the header's fixed part, before anything else is believed. Outcomes as image_parse.
 */
int image_check_header(const char *path, Cursor c, Error *e);
/* Looks for NT_GNU_BUILD_ID in a run of notes. `align` is 4 or 8. Leaves `out` alone when there is none. */
int image_parse_build_id(const char *path, Cursor notes, uint64_t align, BuildId *out, Error *e);

/* A string of a string table, or NULL. Constant time: only a table that ends with NUL has strings. */
const char *image_table_string(const uint8_t *table, uint64_t size, uint64_t offset);
