/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "build/diff.h"

/* The passes of a diff, in order. Internal to src/build. */

/* Pairs functions; fills old_match, new_match and matches (kind IDENTICAL where the normalised
 * content is the same, CHANGED where not, ADDED, REMOVED). */
void match_functions(Diff *d);
/* Pairs what is left by position and likeness: the last resort, after tables and aligned calls. */
void match_alike(Diff *d);
/* Share of instructions that two functions have in common, in percent of the longer one. */
unsigned match_likeness(const Diff *d, uint32_t old, uint32_t new);
/* One of several functions without a partner that have the same content and name variables, of which the new
 * build has more or fewer: a likeness of their callers does not tell which is which. */
bool match_twin_of_more(Diff *d, uint32_t old);
/* A removed and an added function turn out to be one. False when they are no such two. */
bool match_join(Diff *d, uint32_t old, uint32_t new, MatchBasis basis);

/* Compares references and constants of the pairs, builds the map; pairs whose references or
 * constants differ become CHANGED or CARRIED. Needs alignments only for CHANGED pairs, which it
 * makes as it finds them. The same with any number of threads, of which two are used. */
void correspond(Diff *d, unsigned threads);

/* Whether two functions of the same instructions catch the same, and clean up at the same places. */
bool exceptions_same(const Diff *d, const Function *old, const Function *new);

/* Aligns the instructions of one changed pair; the alignment lies in the arena. */
void align_match(Diff *d, Arena *arena, uint32_t match);

/* Finds constant tables that differ, and carries their users, or refuses. After correspond. */
void exchange_tables(Diff *d);
/* Refuses constants that changed and whose address code keeps or compares. After exchange_tables. */
void judge_identity(Diff *d);
const ConstTable *table_at(const Diff *d,
                           uint64_t new); /* the exchanged table that holds the address, or NULL */
/* Whether two pieces of initialised data are the same, relocated words by what they lead to. */
bool object_same(Diff *d, uint64_t old, uint64_t new, uint64_t size, const char **what);
/* A variable's symbol, or "section+0xoffset". */
const char *data_name(const Diff *d, uint64_t new);
/* The symbol of the object that holds the address, or NULL. */
const ImageSymbol *object_at(const Image *image, uint64_t addr);

/* The hazards of whole images: exports, imports, TLS, constructors, data, IFUNCs, assembly. */
void judge_hazards(Diff *d);
/* Refuses constructors that changed, and what a plug-in's host calls as one; tells what runs at start-up
 * only. */
void judge_startup(Diff *d);
/* Per old function: it is run once at most, by pthread_once() and its like or to make the initial value of a
 * static local variable. NULL: none, or not known. Lies in the arena. Tells of changed functions in which
 * only such a value is made in another way. */
bool *functions_run_once(Diff *d);
/* Marks the functions that data or the dynamic symbols name. */
void mark_named(const Code *code, bool *out);
/* Whether a library's function of that name waits for events: what a server does when there is nothing to do,
 * and nothing that reading a configuration takes. */
bool waits_for_events(const char *name);
/* Per function: it calls such a one, makes such a system call itself in an image that needs no library, or
 * calls a function that does. Lies in the arena. */
bool *functions_that_wait(const Code *code, Arena *arena);
/* What the entry point of a program hands to __libc_start_main; NULL: no program, or not found. */
const Function *main_function(const Code *code);
/* Refuses constant tables whose elements moved where old objects hold indexes into them. After
 * exchange_tables. */
void judge_order(Diff *d);
/* Refuses changed functions that old code without a partner calls, and nobody who has not changed. */
void judge_left(Diff *d);
/* Refuses new code that asks the loader for something by the image that it lies in. */
void judge_asked(Diff *d);
/* Refuses changed bodies of C++20 coroutines and of Rust's async functions. */
void judge_coroutines(Diff *d);
/* Per function of the code: it is the body of an async function of Rust, or has one in it. Leaves others as
 * they are. */
void mark_async_bodies(Diff *d, const Code *code, bool *out);
/* Refuses functions that a linker had folded into one, and that are two now. */
void judge_folded(Diff *d);

/* What a reference refers to, in terms that can be compared between two builds. */
typedef enum PlaceKind {
        PLACE_FUNCTION, /* function `index`, `offset` bytes into part `part` */
        PLACE_IMPORT,   /* PLT entry or GOT slot of a symbol: `name`, `version`; `offset`: addend */
        PLACE_POINTER,  /* GOT slot that holds the address `target` of this image */
        PLACE_TLS,      /* GOT slots of TLS: `type` relocation, `name` or offset */
        PLACE_CONST,    /* read-only data without relocations */
        PLACE_RELRO,    /* data that is read-only after relocation */
        PLACE_DATA,     /* writable data, .bss */
        PLACE_OTHER,    /* headers, linker-made symbols, outside of every section */
} PlaceKind;

typedef struct Place {
        PlaceKind kind;
        bool slot; /* IMPORT: the GOT slot itself, not the PLT entry */
        uint32_t index, part, type;
        uint64_t offset, target;
        const char *name, *version;
        const ImageSection *section;
} Place;

Place place_of(const Code *code, uint64_t addr);
/* A section that only the loader and the unwinder read, and that differs between any two builds: its address
 * in code or data is the end of what lies before it. */
bool place_is_loaders(const ImageSection *s);

/* Length of the constant at `addr`: up to the next place that anything refers to. */
uint64_t const_extent(const Code *code, uint64_t addr);

/* A jump table: 4-byte offsets from its own start (or 8-byte addresses in a non-PIE) that all land
 * in `function`. Returns the number of entries, 0 when it is none. */
uint32_t jump_table(const Code *code, const Function *function, uint64_t addr, unsigned *entry_size);
/* Target of entry `i`. */
uint64_t jump_table_entry(const Code *code, uint64_t addr, unsigned entry_size, uint32_t i);

/* The address that a word of data holds, by its relocation or, at a fixed address, as it stands; 0: none. */
uint64_t address_at(const Image *image, uint64_t addr);
/* True when nothing of the image's relocations lies in [addr, addr + size). */
bool unrelocated(const Image *image, uint64_t addr, uint64_t size);

/* The old place of a variable or table of the new image: from the map, from symbols, or from
 * neighbours on both sides together with an old reference to that very place. */
MapState locate_data(const Diff *d, uint64_t new, uint64_t *old);
/* The nearest testified entry of the section: the last at or below `addr` (side -1), the first above (side
 * 1). */
const MapEntry *map_neighbour(const Diff *d, uint64_t addr, int side);
/* The index of the first target that is not below `addr`; n_targets when there is none. */
size_t target_from(const Code *code, uint64_t addr);
/* True when something refers to exactly that address. */
bool is_target(const Code *code, uint64_t addr);
/* True when every reference to `addr` in new code is a plain memory access (its address is never
 * taken); *width is then the widest. Decodes the instructions anew. */
bool accessed_only(const Code *code, uint64_t addr, unsigned *width);
/* A writable variable that only the new image has: true, and the range [*from, *to) of new
 * addresses to carry, when nothing in the old image can be its counterpart. */
bool added_variable(const Diff *d, uint64_t new, uint64_t *from, uint64_t *to);
/* Whether the constants at the two addresses are the same, as far as the next thing that anything
 * refers to. */
bool constants_same(const Diff *d, uint64_t old, uint64_t new);
/* The same for no more than `size` bytes, however far the constants go. */
bool constant_bytes_same(const Diff *d, uint64_t old, uint64_t new, uint64_t size);
/* Text: what is read, and never compared by its address. */
bool constant_is_text(const Image *image, uint64_t addr, uint64_t size);
bool all_zero(const uint8_t *b, uint64_t n);
/* One C string, and nothing but zeros behind it. */
bool single_string(const uint8_t *b, uint64_t n);
/* The same, and not as well a number of 2, 4 or 8 bytes. */
bool lone_text(uint64_t addr, const uint8_t *b, uint64_t n);
/* Whether two pointers in data lead to the same constant: as constants_same, or to equal C strings. */
bool pointees_same(const Diff *d, uint64_t old, uint64_t new);
/* Two texts that differ in a version or a date only: in digits and what stands between them, with two
 * or more separators, or in the revision of a package (1.20-1+b2, 1.20-1+deb12u1). */
bool versions_alike(const Diff *d, uint64_t old, uint64_t new);
/* Whether two relocated words mean the same under the map. */
bool relocs_same(Diff *d, const ImageReloc *old, const ImageReloc *new);

/* Decodes one instruction with operands for its width; 0 when it is no memory access. */
unsigned access_width(const Code *code, uint64_t insn);

static inline const Function *match_old(const Diff *d, const Match *m) {
        return m->old == NO_FUNCTION ? NULL : &d->old->functions[m->old];
}
static inline const Function *match_new(const Diff *d, const Match *m) {
        return m->new == NO_FUNCTION ? NULL : &d->new->functions[m->new];
}
/* The old function is replaced by one of other instructions. */
static inline bool has_changed(const Diff *d, uint32_t old) {
        const Match *m = &d->matches[d->old_match[old]];

        return m->kind == MATCH_CHANGED && match_old(d, m)->norm != match_new(d, m)->norm;
}
