/* SPDX-License-Identifier: Apache-2.0 */
#include "build/code.h"
#include "base/macro.h"
#include "base/vec.h"
#include "build/decode.h"

#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/*
 * Loads the text of an image: finds the ranges of code (FDEs, symbols, and what lies between them),
 * decodes them once, joins ranges that jump into each other's middle to functions, and sorts what
 * the instructions refer to.
 */

typedef struct RawRange {
        uint64_t addr, size;
        bool uncovered;
        bool lsda;
} RawRange;

typedef VEC(RawRange) RangeVec;

static int range_compare(const void *a, const void *b) {
        const RawRange *x = a, *y = b;

        if (x->addr != y->addr)
                return x->addr < y->addr ? -1 : 1;
        /* The longer first: an FDE that covers several symbols stays whole. */
        return x->size > y->size ? -1 : x->size < y->size;
}

static bool section_is_code(const ImageSection *s) {
        return (s->flags & (SHF_ALLOC | SHF_EXECINSTR)) == (SHF_ALLOC | SHF_EXECINSTR) && s->bytes &&
               strncmp(s->name, ".plt", 4) != 0;
}

static bool in_code(const Image *image, uint64_t addr, uint64_t size) {
        const ImageSection *s = image_section_at(image, addr);

        return s && section_is_code(s) && size <= s->addr + s->size - addr;
}

static void add_symbol_ranges(const Image *image, const ImageSymbol *symbols, size_t n, RangeVec *v) {
        for (size_t i = 0; i < n; i++) {
                const ImageSymbol *s = &symbols[i];

                if (s->defined && s->size > 0 && (s->type == STT_FUNC || s->type == STT_GNU_IFUNC) &&
                    in_code(image, s->addr, s->size))
                        vec_push(v, (RawRange){ .addr = s->addr, .size = s->size });
        }
}

/* Sorts, and makes the ranges disjoint: a range inside another one goes, a tail that overlaps the
 * next range is cut. */
static void ranges_normalise(RangeVec *v) {
        size_t n = 0;

        if (v->n == 0)
                return;
        qsort(v->items, v->n, sizeof(*v->items), range_compare);
        for (size_t i = 0; i < v->n; i++) {
                RawRange r = v->items[i];

                if (n > 0) {
                        RawRange *last = &v->items[n - 1];

                        if (r.addr + r.size <= last->addr + last->size) {
                                last->lsda |= r.lsda;
                                continue;
                        }
                        if (r.addr < last->addr + last->size)
                                last->size = r.addr - last->addr;
                }
                v->items[n++] = r;
        }
        v->n = n;
}

/* One gap of undescribed code: pieces that end without fall-through and are followed by padding, or
 * by an aligned address, are ranges of their own. */
static void add_gap(const Decoder *decoder, const ImageSection *s, uint64_t start, uint64_t end,
                    RangeVec *gaps) {
        uint64_t at = start;

        while (at < end) {
                Decoded d;
                uint64_t pad;

                if (!decode(decoder, s->bytes + (at - s->addr), end - at, at, &d)) {
                        at++;
                        continue;
                }
                at += d.length;
                if (!(d.flags & INSN_END) || at >= end)
                        continue;
                pad = decode_padding(s->bytes + (at - s->addr), end - at);
                if (pad == 0 && at % 16 != 0)
                        continue;
                vec_push(gaps, (RawRange){ .addr = start, .size = at - start, .uncovered = true });
                start = at = at + pad;
        }
        if (start < end)
                vec_push(gaps, (RawRange){ .addr = start, .size = end - start, .uncovered = true });
}

/* What lies in code sections between the known ranges and is not padding becomes a range too. */
static void add_gaps(const Image *image, RangeVec *v) {
        Decoder *decoder = decoder_new(image);
        RangeVec gaps = { 0 };
        size_t k = 0;

        for (size_t i = 0; i < image->n_sections; i++) {
                const ImageSection *s = &image->sections[i];
                uint64_t at = s->addr;

                if (!section_is_code(s))
                        continue;
                for (k = 0; k < v->n && v->items[k].addr < s->addr; k++)
                        ;
                while (at < s->addr + s->size) {
                        uint64_t next = k < v->n && v->items[k].addr < s->addr + s->size ? v->items[k].addr
                                                                                         : s->addr + s->size;
                        uint64_t start = at + decode_padding(s->bytes + (at - s->addr), next - at);

                        if (start < next)
                                add_gap(decoder, s, start, next, &gaps);
                        if (next == s->addr + s->size)
                                break;
                        at = v->items[k].addr + v->items[k].size;
                        k++;
                }
        }
        for (size_t i = 0; i < gaps.n; i++)
                vec_push(v, gaps.items[i]);
        vec_free(&gaps);
        decoder_free(decoder);
        ranges_normalise(v);
}

typedef struct Job {
        const Image *image;
        const RawRange *ranges;
        CodePart *parts;
        bool *undecoded;
        size_t from, to;
        uint64_t text_base;
        VEC(Insn) insns;
        VEC(Ref) refs;
} Job;

static void *decode_job(void *argument) {
        Job *job = argument;
        Decoder *decoder = decoder_new(job->image);

        for (size_t i = job->from; i < job->to; i++) {
                const RawRange *r = &job->ranges[i];
                const uint8_t *bytes = image_bytes(job->image, r->addr, r->size);
                uint64_t at = 0;

                job->parts[i].addr = r->addr;
                job->parts[i].size = r->size;
                job->parts[i].insn = (uint32_t)job->insns.n;
                while (bytes && at < r->size) {
                        Decoded d;

                        if (!decode(decoder, bytes + at, r->size - at, r->addr + at, &d)) {
                                job->undecoded[i] = true;
                                /* Keep the rest comparable: one byte, one pseudo-instruction. */
                                vec_push(&job->insns,
                                         (Insn){ .offset = (uint32_t)(r->addr + at - job->text_base),
                                                 .length = 1,
                                                 .norm = bytes[at] + UINT64_C(0x9e3779b97f4a7c15) });
                                at++;
                                continue;
                        }
                        if (d.branch && d.target >= r->addr && d.target < r->addr + r->size) {
                                d.flags |= INSN_INTERNAL;
                        } else if (d.has_ref) {
                                d.flags |= INSN_REF;
                                for (unsigned j = 0; j < d.n_refs; j++) {
                                        d.refs[j].function =
                                                (uint32_t)i; /* the part; the function comes later */
                                        vec_push(&job->refs, d.refs[j]);
                                }
                        }
                        vec_push(&job->insns, (Insn){ .offset = (uint32_t)(r->addr + at - job->text_base),
                                                      .length = d.length,
                                                      .flags = d.flags,
                                                      .norm = d.norm });
                        at += d.length;
                }
                job->parts[i].n_insns = (uint32_t)job->insns.n - job->parts[i].insn;
        }
        decoder_free(decoder);
        return NULL;
}

static int decode_all(Code *code, const RangeVec *ranges, bool *undecoded, unsigned threads, Error *e) {
        Job jobs[16] = { 0 };
        pthread_t ids[16];
        uint64_t total = 0, share, sum = 0;
        unsigned n = 0;
        size_t at = 0;

        if (threads < 1)
                threads = 1;
        if (threads > ELEMENTSOF(jobs))
                threads = ELEMENTSOF(jobs);
        for (size_t i = 0; i < ranges->n; i++)
                total += ranges->items[i].size;
        share = total / threads + 1;
        while (at < ranges->n) {
                Job *job = &jobs[n++];

                *job = (Job){ .image = code->image,
                              .ranges = ranges->items,
                              .parts = code->parts,
                              .undecoded = undecoded,
                              .from = at,
                              .text_base = code->text_base };
                for (sum = 0; at < ranges->n && (sum < share || n == threads); at++)
                        sum += ranges->items[at].size;
                job->to = at;
        }
        for (unsigned i = 1; i < n; i++)
                if (pthread_create(&ids[i], NULL, decode_job, &jobs[i]) != 0) {
                        for (unsigned k = 1; k < i; k++)
                                pthread_join(ids[k], NULL);
                        return error_set(e, -EAGAIN, "%s: cannot start a thread", code->image->path);
                }
        if (n > 0)
                decode_job(&jobs[0]);
        for (unsigned i = 1; i < n; i++)
                pthread_join(ids[i], NULL);

        /* What the first has found is the beginning already. */
        for (unsigned i = 1; i < n; i++) {
                for (size_t k = jobs[i].from; k < jobs[i].to; k++)
                        code->parts[k].insn += (uint32_t)jobs[0].insns.n;
                vec_append(&jobs[0].insns, &jobs[i].insns);
                vec_append(&jobs[0].refs, &jobs[i].refs);
                vec_free(&jobs[i].insns);
                vec_free(&jobs[i].refs);
        }
        code->insns = jobs[0].insns.items;
        code->n_insns = jobs[0].insns.n;
        code->refs = jobs[0].refs.items;
        code->n_refs = jobs[0].refs.n;
        return 0;
}

const CodePart *code_part_at(const Code *code, uint64_t addr) {
        size_t at = blocks_above(&code->part_blocks, addr);

        return at && addr - code->parts[at - 1].addr < code->parts[at - 1].size ? &code->parts[at - 1] : NULL;
}

uint32_t code_insn_at(const Code *code, const CodePart *part, uint64_t addr) {
        uint32_t lo = part->insn, hi = lo + part->n_insns, end = hi;

        while (lo < hi) {
                uint32_t mid = lo + (hi - lo) / 2;

                if (insn_addr(code, &code->insns[mid]) < addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo < end && insn_addr(code, &code->insns[lo]) == addr ? lo : UINT32_MAX;
}

const CodePart *code_part_start(const Code *code, uint64_t addr) {
        const CodePart *p = code_part_at(code, addr);

        return p && p->addr == addr ? p : NULL;
}

const Function *code_function_at(const Code *code, uint64_t addr) {
        const CodePart *p = code_part_at(code, addr);

        return p ? &code->functions[p->function] : NULL;
}

uint64_t code_branch_target(const Code *code, const Insn *insn) {
        uint64_t addr = insn_addr(code, insn);
        const uint8_t *b = image_bytes(code->image, addr, insn->length);
        int32_t wide;
        int8_t narrow;

        if (!b)
                return 0;
        /* rel8 forms: jcc 70-7f, loop/jrcxz e0-e3, jmp eb; all others end in rel32. */
        for (unsigned i = 0; i + 1 < insn->length; i++) {
                uint8_t op = b[i];

                if (i + 2 == insn->length &&
                    ((op >= 0x70 && op <= 0x7f) || (op >= 0xe0 && op <= 0xe3) || op == 0xeb)) {
                        memcpy(&narrow, b + i + 1, 1);
                        return addr + insn->length + (uint64_t)(int64_t)narrow;
                }
        }
        if (insn->length < 5)
                return 0;
        memcpy(&wide, b + insn->length - 4, 4);
        return addr + insn->length + (uint64_t)(int64_t)wide;
}

static uint32_t root(uint32_t *parent, uint32_t i) {
        while (parent[i] != i)
                i = parent[i] = parent[parent[i]];
        return i;
}

static void mark_entered(const Code *code, uint64_t addr) {
        const CodePart *p = code_part_start(code, addr);

        if (p)
                code->parts[p - code->parts].entered = true;
}

/* Which parts are entered from elsewhere than by a jump from code: calls, taken addresses,
 * relocated data, symbols, the program's entry points. */
static void find_entered(Code *code) {
        const Image *image = code->image;

        for (size_t i = 0; i < code->n_refs; i++)
                if (code->refs[i].kind != REF_JUMP)
                        mark_entered(code, code->refs[i].target);
        for (size_t i = 0; i < image->n_relocs; i++) {
                const ImageReloc *r = &image->relocs[i];

                if (r->symbol == 0)
                        mark_entered(code, (uint64_t)r->addend);
                else if (r->symbol < image->n_dynsyms && image->dynsyms[r->symbol].defined)
                        mark_entered(code, image->dynsyms[r->symbol].addr);
        }
        for (size_t i = 0; i < image->n_dynsyms; i++)
                if (image->dynsyms[i].defined)
                        mark_entered(code, image->dynsyms[i].addr);
        for (size_t i = 0; i < image->n_syms; i++)
                if (image->syms[i].defined && image->syms[i].type == STT_FUNC &&
                    !strstr(image->syms[i].name, ".cold"))
                        mark_entered(code, image->syms[i].addr);
        mark_entered(code, image->entry);
        mark_entered(code, image->init);
        mark_entered(code, image->fini);
}

/* Joins parts that jump into each other's middle, and "x.cold" with "x". */
static void join_parts(Code *code, const RangeVec *ranges, uint32_t *parent) {
        for (uint32_t i = 0; i < code->n_parts; i++)
                parent[i] = i;
        for (size_t i = 0; i < code->n_refs; i++) {
                const Ref *r = &code->refs[i];
                const CodePart *p;

                if (r->kind != REF_JUMP)
                        continue;
                p = code_part_at(code, r->target);
                if (p && p->addr != r->target)
                        parent[root(parent, (uint32_t)(p - code->parts))] = root(parent, r->function);
        }
        /* A part whose start is reached by nothing but jumps, all from one function, belongs to it
         * (a .cold part that does not come back). Compilers describe such parts: undescribed code that
         * is jumped to is a function by itself. */
        uint32_t *owner = arena_newa(code->arena, uint32_t, code->n_parts + 1);

        for (uint32_t i = 0; i < code->n_parts; i++)
                owner[i] = UINT32_MAX;
        for (size_t i = 0; i < code->n_refs; i++) {
                const Ref *r = &code->refs[i];
                const CodePart *p;
                uint32_t k, from;

                if (r->kind != REF_JUMP)
                        continue;
                p = code_part_start(code, r->target);
                if (!p || p->entered)
                        continue;
                k = (uint32_t)(p - code->parts);
                from = root(parent, r->function);
                if (owner[k] == UINT32_MAX)
                        owner[k] = from;
                else if (owner[k] != UINT32_MAX - 1 && root(parent, owner[k]) != from)
                        owner[k] = UINT32_MAX - 1;
        }
        for (uint32_t i = 0; i < code->n_parts; i++)
                if (owner[i] < UINT32_MAX - 1 && !ranges->items[i].uncovered)
                        parent[root(parent, i)] = root(parent, owner[i]);
}

static int function_compare(const void *a, const void *b) {
        const Function *x = a, *y = b;

        return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void make_functions(Code *code, const RangeVec *ranges, const bool *undecoded) {
        uint32_t *parent = arena_newa(code->arena, uint32_t, code->n_parts + 1);
        uint32_t *index = arena_newa(code->arena, uint32_t, code->n_parts + 1);
        uint32_t *lists = arena_newa(code->arena, uint32_t, code->n_parts + 1);
        uint32_t at = 0;

        find_entered(code);
        join_parts(code, ranges, parent);
        for (uint32_t i = 0; i < code->n_parts; i++)
                if (root(parent, i) == i)
                        index[i] = code->n_functions++;
        code->functions = arena_newa(code->arena, Function, code->n_functions + 1);
        for (uint32_t i = 0; i < code->n_parts; i++)
                code->functions[index[root(parent, i)]].n_parts++;
        for (uint32_t i = 0; i < code->n_functions; i++) {
                code->functions[i].parts = lists + at;
                at += code->functions[i].n_parts;
                code->functions[i].n_parts = 0;
        }
        for (uint32_t i = 0; i < code->n_parts; i++) {
                Function *f = &code->functions[index[root(parent, i)]];
                CodePart *p = &code->parts[i];

                f->parts[f->n_parts++] = i;
                f->total_size += p->size;
                f->n_insns += p->n_insns;
                f->undecoded |= undecoded[i];
                f->uncovered |= ranges->items[i].uncovered;
                f->has_lsda |= ranges->items[i].lsda;
        }
        for (uint32_t i = 0; i < code->n_functions; i++) {
                Function *f = &code->functions[i];
                uint32_t best = 0, first;

                for (uint32_t k = 1; k < f->n_parts; k++) {
                        const CodePart *p = &code->parts[f->parts[k]], *q = &code->parts[f->parts[best]];

                        if (p->entered != q->entered ? p->entered : p->size > q->size)
                                best = k;
                }
                first = f->parts[best];
                memmove(f->parts + 1, f->parts, best * sizeof(*f->parts));
                f->parts[0] = first;
                f->addr = code->parts[first].addr;
                f->size = code->parts[first].size;
        }
        qsort(code->functions, code->n_functions, sizeof(Function), function_compare);
        for (uint32_t i = 0; i < code->n_functions; i++)
                for (uint32_t k = 0; k < code->functions[i].n_parts; k++)
                        code->parts[code->functions[i].parts[k]].function = i;
}

static void name_functions(Code *code) {
        const Image *image = code->image;

        for (int table = 0; table < 2; table++) {
                const ImageSymbol *symbols = table == 0 ? image->dynsyms : image->syms;
                size_t n = table == 0 ? image->n_dynsyms : image->n_syms;

                for (size_t i = 0; i < n; i++) {
                        const ImageSymbol *s = &symbols[i];
                        const CodePart *p;
                        Function *f;

                        if (!s->defined || (s->type != STT_FUNC && s->type != STT_GNU_IFUNC))
                                continue;
                        p = code_part_start(code, s->addr);
                        if (!p)
                                continue;
                        f = &code->functions[p->function];
                        if (table == 0 && s->bind != STB_LOCAL)
                                f->exported = true;
                        if (s->type == STT_GNU_IFUNC)
                                f->ifunc = true;
                        if (s->addr != f->addr)
                                continue;
                        /* Of several names the first in the alphabet: the choice must not depend on order. */
                        if (!f->name || strcmp(s->name, f->name) < 0)
                                f->name = s->name;
                        f->named = true;
                }
        }
        for (size_t i = 0; i < image->n_relocs; i++) {
                const CodePart *p = image->relocs[i].type == R_X86_64_IRELATIVE
                                            ? code_part_start(code, (uint64_t)image->relocs[i].addend)
                                            : NULL;

                if (p)
                        code->functions[p->function].ifunc = true;
        }
        for (uint32_t i = 0; i < code->n_functions; i++)
                if (!code->functions[i].name)
                        code->functions[i].name = arena_printf(code->arena, "sub_%llx",
                                                               (unsigned long long)code->functions[i].addr);
}

/* Drops the jumps that turned out to be inside a function, and sorts the rest by function. */
static void sort_refs(Code *code) {
        uint32_t *start = arena_newa(code->arena, uint32_t, code->n_functions + 1);
        Ref *sorted;
        size_t n = 0;

        for (size_t i = 0; i < code->n_refs; i++) {
                Ref *r = &code->refs[i];
                uint32_t function = code->parts[r->function].function;

                if (r->kind == REF_JUMP) {
                        const CodePart *p = code_part_at(code, r->target);

                        /* A jump to another part's middle or to its .cold start is inside the
                         * function; a jump to the entry itself too. */
                        if (p && p->function == function) {
                                Insn *own =
                                        &code->insns[code_insn_at(code, &code->parts[r->function], r->insn)];

                                own->flags = (uint8_t)((own->flags & ~INSN_REF) | INSN_INTERNAL);
                                continue;
                        }
                }
                code->refs[n] = *r;
                code->refs[n++].function = r->function; /* still the part */
        }
        code->n_refs = n;
        sorted = vec_grow(NULL, n + 1, sizeof(*sorted));
        for (size_t i = 0; i < n; i++)
                code->functions[code->parts[code->refs[i].function].function].n_refs++;
        for (uint32_t i = 0; i + 1 < code->n_functions; i++)
                code->functions[i + 1].ref = code->functions[i].ref + code->functions[i].n_refs;
        for (uint32_t i = 0; i < code->n_functions; i++)
                start[i] = code->functions[i].ref;
        /* Refs come in order of parts; within a function the entry part comes first. */
        for (int entry = 1; entry >= 0; entry--)
                for (size_t i = 0; i < n; i++) {
                        uint32_t part = code->refs[i].function, function = code->parts[part].function;

                        if ((code->functions[function].parts[0] == part) != entry)
                                continue;
                        sorted[start[function]] = code->refs[i];
                        sorted[start[function]++].function = function;
                }
        free(code->refs);
        code->refs = sorted;
}

static uint64_t mix(uint64_t h, uint64_t v) {
        h ^= v + UINT64_C(0x9e3779b97f4a7c15) + (h << 6) + (h >> 2);
        h *= UINT64_C(0xff51afd7ed558ccd);
        return h ^ (h >> 32);
}

static void hash_functions(Code *code) {
        for (uint32_t i = 0; i < code->n_functions; i++) {
                Function *f = &code->functions[i];
                uint64_t h = f->n_parts;

                for (uint32_t k = 0; k < f->n_parts; k++) {
                        CodePart *p = &code->parts[f->parts[k]];
                        uint32_t n = p->n_insns;

                        while (n > 0 && (code->insns[p->insn + n - 1].flags & INSN_NOP))
                                n--;
                        for (uint32_t j = 0; j < n; j++) {
                                const Insn *insn = &code->insns[p->insn + j];

                                h = mix(h, insn->norm + insn->length);
                                if (insn->flags & INSN_INTERNAL) {
                                        uint64_t target = code_branch_target(code, insn);
                                        const CodePart *q = code_part_at(code, target);
                                        uint32_t place = 0;

                                        while (q && place < f->n_parts && &code->parts[f->parts[place]] != q)
                                                place++;
                                        h = mix(h, q ? (((uint64_t)place << 40) | (target - q->addr)) : 1);
                                }
                                if (insn->flags & INSN_INDIRECT)
                                        f->has_indirect_jump = true;
                        }
                        h = mix(h, 0x5eed);
                }
                f->norm = h;
        }
}

int code_load(const Image *image, unsigned threads, Code **out, Error *e) {
        _cleanup_(arena_freep) Arena *arena = arena_new();
        RangeVec ranges = { 0 };
        bool *undecoded;
        Code *code;
        int r;

        code = arena_new0(arena, Code);
        code->image = image;
        code->arena = arena;
        code->text_base = UINT64_MAX;
        for (size_t i = 0; i < image->n_sections; i++)
                if (section_is_code(&image->sections[i]) && image->sections[i].addr < code->text_base)
                        code->text_base = image->sections[i].addr;
        for (size_t i = 0; i < image->n_fdes; i++)
                if (image->fdes[i].size && in_code(image, image->fdes[i].addr, image->fdes[i].size))
                        vec_push(&ranges, (RawRange){ .addr = image->fdes[i].addr,
                                                      .size = image->fdes[i].size,
                                                      .lsda = image->fdes[i].lsda != 0 });
        add_symbol_ranges(image, image->dynsyms, image->n_dynsyms, &ranges);
        add_symbol_ranges(image, image->syms, image->n_syms, &ranges);
        ranges_normalise(&ranges);
        add_gaps(image, &ranges);

        code->n_parts = (uint32_t)ranges.n;
        code->parts = arena_newa(arena, CodePart, ranges.n + 1);
        undecoded = arena_newa(arena, bool, ranges.n + 1);
        r = decode_all(code, &ranges, undecoded, threads, e);
        if (r == 0) {
                if (code->n_parts)
                        code->part_blocks =
                                blocks_make(code->arena, code->parts, code->n_parts, sizeof(CodePart),
                                            code->parts[0].addr, code->parts[code->n_parts - 1].addr);
                make_functions(code, &ranges, undecoded);
                name_functions(code);
                sort_refs(code);
                hash_functions(code);
                code_find_targets(code);
                *out = code;
                arena = NULL;
        }
        vec_free(&ranges);
        return r;
}

Code *code_free(Code *code) {
        if (code) {
                free(code->insns);
                free(code->refs);
                arena_free(code->arena);
        }
        return NULL;
}
