/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/refusal.h"
#include "elf/image.h"

/*
 * A patch in memory, and its file (docs/patch-format.md is normative).
 *
 * A patch is a sparse *shadow* of the new image: what it carries keeps its new vaddr, so that
 * everything it carries may refer to everything else it carries with no relocation at all (jump
 * tables, unwind data, calls between new functions). In a process the shadow lies at one base:
 * address = shadow_base + vaddr. What refers to the process's old image, or to other images, has
 * an entry in `relocs`.
 */
enum {
        PATCH_MAX_FILE = 256 << 20,
        PATCH_MAX_SECTIONS = 60000, /* fits ELF's 16-bit section numbers */
        PATCH_MAX_RELOCS = 4 << 20,
        PATCH_MAX_SITES = 1 << 18,
        PATCH_MAX_RANGES = 1 << 20,
        PATCH_MAX_IMPORTS = 1 << 16,
        PATCH_MAX_FINDINGS = 4096,
        PATCH_MAX_VARIABLES = 1 << 16,
        PATCH_MAX_WORDS = 1 << 16,
        PATCH_MAX_TESTIMONIES = 1 << 20,
        PATCH_MAX_USERS = 1 << 20,
        PATCH_MAX_SPAN = 1 << 30, /* bytes of address space */
        PATCH_SITE_BYTES = 16,
};

typedef struct PatchSection {
        const char *name;    /* ".text.NAME", ".rodata", ".data.rel.ro", ".data", ".bss", ".eh_frame",
                                ".gcc_except_table", ... */
        uint64_t addr, size; /* new vaddr */
        uint64_t flags;      /* SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE */
        uint32_t type;       /* SHT_PROGBITS, SHT_NOBITS */
        uint64_t align;
        const uint8_t *bytes; /* NULL for NOBITS */
} PatchSection;

/* Which base the value of a relocation is relative to. */
typedef enum PatchBase {
        PATCH_BASE_OLD,    /* value is a vaddr of the old image in the process */
        PATCH_BASE_SHADOW, /* value is a vaddr of the new image, carried by the patch */
        PATCH_BASE_IMPORT, /* value is an index into imports; address of the symbol, plus addend */
} PatchBase;

typedef struct PatchReloc {
        uint64_t where; /* new vaddr of the field, inside a section that has bytes */
        uint32_t type;  /* R_X86_64_PC32 (S + A - P), R_X86_64_64, R_X86_64_32, R_X86_64_32S (S + A) */
        PatchBase base;
        uint64_t value;
        int64_t addend;
} PatchReloc;

typedef struct PatchImport {
        const char *name, *version; /* version "" when none */
        bool weak;                  /* unresolved means 0, not a refusal */
        bool function;
} PatchImport;

/* One replaced function: where the old code is left for the new. */
typedef struct PatchSite {
        const char *name;
        uint64_t old_addr;   /* old vaddr of the function's entry */
        uint64_t new_addr;   /* new vaddr of its replacement */
        uint64_t jump_addr;  /* old vaddr of the 5-byte jmp rel32: the entry, behind endbr64, or in padding */
        uint64_t patch_addr; /* old vaddr of the first byte that is expected and may be written */
        uint8_t expect[PATCH_SITE_BYTES]; /* the old image's bytes from patch_addr */
        uint8_t n_expect;                 /* covers everything that is written */
        uint8_t short_at; /* != 0xff: offset in the expected bytes of a 2-byte `jmp rel8` at the entry that
                             leads to jump_addr (function too small for 5 bytes) */
} PatchSite;

/* Code of the old image that no thread may be inside of, or return into, at the switch. */
typedef struct PatchRange {
        uint64_t addr, size; /* old vaddr */
        uint32_t site;
} PatchRange;

/*
 * A writable variable that the patch adds. Two patches of one base may have the same one: then it has one
 * storage in a process. Every reference to it has a relocation (PATCH_BASE_SHADOW), so that another
 * storage can stand for it.
 */
typedef struct PatchVariable {
        uint64_t addr, size; /* new vaddr; inside one writable section */
        uint64_t initial;    /* hash of the initial value, pointers by what they lead to; 0: zero */
        uint32_t align;      /* that its code may demand: 1 to 64 */
        const char *name;    /* a symbol that is unique in the image; "" when none */
} PatchVariable;

/* Evidence of which variable is which: the same key in two patches of one base is one use in one function. */
typedef struct PatchTestimony {
        uint64_t key;
        uint32_t variable;
} PatchTestimony;

/* A function that was changed or added, in a patch that adds variables: hashes to be compared between
 * patches. */
typedef struct PatchUser {
        uint64_t old_addr; /* its entry in the old image; 0: added */
        uint64_t content;  /* its instructions */
        uint64_t shape;    /* how it touches memory: displacements, widths, strides, numbers it loads */
} PatchUser;

/* A pointer in constant data of the old image that is rewritten in place. */
typedef struct PatchWord {
        uint64_t where, old_value; /* old vaddrs: of the word, and what it points to */
        PatchBase base;            /* OLD or SHADOW */
        uint64_t value;            /* vaddr that it shall point to */
} PatchWord;

typedef struct Patch {
        Arena *arena; /* owns everything, the patch itself too */
        BuildId old_id, new_id;
        const char *name;                      /* soname, or file name of the image */
        const char *old_path, *new_path;       /* base names or package paths, for people; may be "" */
        const char *old_version, *new_version; /* package versions where known; "" otherwise */
        bool executable;
        uint64_t old_lo, old_hi; /* vaddr span of the old image, page-aligned */
        uint64_t lo, hi;         /* vaddr span of the shadow, page-aligned */
        PatchSection *sections;  /* sorted by addr, not overlapping */
        size_t n_sections;
        PatchReloc *relocs; /* sorted by where */
        size_t n_relocs;
        PatchImport *imports;
        size_t n_imports;
        PatchSite *sites; /* sorted by old_addr */
        size_t n_sites;
        PatchRange *ranges; /* sorted by addr */
        size_t n_ranges;
        PatchVariable *variables; /* sorted by addr, not overlapping */
        size_t n_variables;
        PatchTestimony *testimonies; /* sorted by key, then variable */
        size_t n_testimonies;
        PatchUser *users; /* sorted by old_addr, content, shape */
        size_t n_users;
        PatchWord *words; /* sorted by where */
        size_t n_words;
        uint64_t eh_frame, eh_frame_size; /* new vaddr of carried unwind data to register; 0: none */
        bool low_addresses;               /* must lie below 2 GiB (R_X86_64_32 of a non-PIE image) */
        Verdict verdict;
        uint8_t digest[32]; /* identity: SHA-256 of the canonical file; set by patch_write/patch_parse */
} Patch;

/* Checks every invariant above; -EBADMSG with the place in e->text. Both write and parse call it. */
int patch_validate(const Patch *p, Error *e);
/* Serialises into malloc'ed bytes (caller frees) and sets p->digest. Deterministic: same patch, same bytes.
 */
int patch_write(Patch *p, uint8_t **bytes, size_t *size, Error *e);
/* Hostile input: limited, bounds-checked, validated. Takes `file` over. -EBADMSG for a malformed file. */
int patch_parse(const char *path, FileBytes *file, Patch **out, Error *e);
int patch_open(const char *path, Patch **out, Error *e);
Patch *patch_free(Patch *p);
static inline void patch_freep(Patch **p) {
        patch_free(*p);
}
/* The variable that holds addr, or NULL. */
const PatchVariable *patch_variable_at(const Patch *p, uint64_t addr);
const PatchSection *patch_section_at(const Patch *p,
                                     uint64_t addr); /* the section that holds addr, or NULL */
