/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/unwind.h"
#include "base/macro.h"
#include "base/vec.h"
#include "proc/mem.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <libelf.h>
#include <string.h>
#include <sys/stat.h>

enum {
        MAX_FRAMES = 4096,
        MAX_OPS = 128,
        STACK_DEPTH = 32,
        N_REGS = 17, /* rax rdx rcx rbx rsi rdi rbp rsp r8..r15 rip */
        REG_RSP = 7,
        REG_RIP = 16,
        MAX_VDSO = 1 << 20,
};

/* One image, for as long as this process runs: many targets map the same. By its file, not by what the file
 * says of itself: another's says what it likes. */
typedef struct Module {
        dev_t device;
        ino_t inode;
        void *memory; /* the vdso, copied */
        Elf *elf;
        Dwarf_CFI *cfi; /* NULL: has none */
} Module;

static VEC(Module *) modules;

struct Unwinder {
        pid_t pid;
        const Maps *maps;
        const Loaded *loaded;
        size_t n;
        const Module **known; /* per loaded image; NULL: not opened yet */
        uint64_t vdso, vdso_end;
        Module vdso_module;
};

static void module_close(Module *m) {
        if (m->cfi)
                dwarf_cfi_end(m->cfi);
        if (m->elf)
                elf_end(m->elf);
        free(m->memory);
        *m = (Module){ 0 };
}

/* The CFI of an ELF that is not a separate .debug file belongs to the Elf, not to a Dwarf. */
static void module_take(Module *m) {
        m->cfi = m->elf ? dwarf_getcfi_elf(m->elf) : NULL;
}

static const Module *module_of(Unwinder *u, size_t i) {
        const Loaded *l = &u->loaded[i];
        struct stat st;
        Module *m;
        int fd;

        if (u->known[i])
                return u->known[i];
        for (size_t k = 0; k < modules.n; k++)
                if (modules.items[k]->device == l->device && modules.items[k]->inode == l->inode)
                        return u->known[i] = modules.items[k];
        m = vec_grow(NULL, 1, sizeof(*m));
        *m = (Module){ 0 };
        fd = mapping_open(u->pid, l->text);
        if (fd >= 0 && fstat(fd, &st) == 0) {
                m->device = st.st_dev;
                m->inode = st.st_ino;
                m->elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
                module_take(m);
                if (m->elf) /* mapped, which keeps the file; a process may have more of them than we
                               descriptors */
                        elf_cntl(m->elf, ELF_C_FDDONE);
        }
        if (fd >= 0)
                close(fd);
        vec_push(&modules, m);
        return u->known[i] = m;
}

Unwinder *unwinder_new(pid_t pid, const Maps *maps, const Loaded *loaded, size_t n) {
        Unwinder *u = vec_grow(NULL, 1, sizeof(*u));

        elf_version(EV_CURRENT);
        *u = (Unwinder){ .pid = pid, .maps = maps, .loaded = loaded, .n = n };
        u->known = vec_grow(NULL, n + 1, sizeof(*u->known));
        memset(u->known, 0, (n + 1) * sizeof(*u->known));
        for (size_t i = 0; i < n; i++)
                module_of(u, i); /* files are opened before the threads are stopped */
        for (size_t i = 0; i < maps->n; i++) {
                const Mapping *m = &maps->items[i];
                size_t size = m->end - m->start;

                if (strcmp(m->path, "[vdso]") != 0 || size > MAX_VDSO)
                        continue;
                u->vdso_module.memory = malloc(size);
                if (u->vdso_module.memory && mem_read(pid, m->start, u->vdso_module.memory, size) == 0) {
                        u->vdso = m->start;
                        u->vdso_end = m->end;
                        u->vdso_module.elf = elf_memory(u->vdso_module.memory, size);
                        module_take(&u->vdso_module);
                }
        }
        return u;
}

Unwinder *unwinder_free(Unwinder *u) {
        if (u) {
                module_close(&u->vdso_module);
                free(u->known);
                free(u);
        }
        return NULL;
}

typedef struct Walk {
        uint64_t regs[N_REGS];
        bool known[N_REGS];
        uint64_t cfa;
        UnwindRead read;
        void *context;
} Walk;

static bool get_reg(const Walk *w, uint64_t reg, uint64_t *out) {
        if (reg >= N_REGS || !w->known[reg])
                return false;
        *out = w->regs[reg];
        return true;
}

static bool binary(uint8_t atom, uint64_t a, uint64_t b, uint64_t *out) {
        switch (atom) {
        case DW_OP_plus:
                *out = a + b;
                return true;
        case DW_OP_minus:
                *out = a - b;
                return true;
        case DW_OP_and:
                *out = a & b;
                return true;
        case DW_OP_or:
                *out = a | b;
                return true;
        case DW_OP_xor:
                *out = a ^ b;
                return true;
        case DW_OP_mul:
                *out = a * b;
                return true;
        case DW_OP_shl:
                *out = b < 64 ? a << b : 0;
                return true;
        case DW_OP_shr:
                *out = b < 64 ? a >> b : 0;
                return true;
        case DW_OP_shra:
                *out = (uint64_t)((int64_t)a >> MIN(b, 63));
                return true;
        case DW_OP_eq:
                *out = a == b;
                return true;
        case DW_OP_ne:
                *out = a != b;
                return true;
        case DW_OP_ge:
                *out = (int64_t)a >= (int64_t)b;
                return true;
        case DW_OP_gt:
                *out = (int64_t)a > (int64_t)b;
                return true;
        case DW_OP_le:
                *out = (int64_t)a <= (int64_t)b;
                return true;
        case DW_OP_lt:
                *out = (int64_t)a < (int64_t)b;
                return true;
        default:
                return false;
        }
}

/* Evaluates an expression. False when it needs something that is not known. *is_value: the result is
 * the value itself, not where it is stored. */
static bool evaluate(const Walk *w, const Dwarf_Op *ops, size_t n, bool has_cfa, uint64_t *out,
                     bool *is_value) {
        uint64_t stack[STACK_DEPTH];
        size_t depth = 0;

        *is_value = false;
        if (n > MAX_OPS)
                return false;
        for (size_t i = 0; i < n; i++) {
                uint8_t atom = ops[i].atom;
                uint64_t v = ops[i].number;

                if (depth >= STACK_DEPTH - 1)
                        return false;
                if (atom >= DW_OP_lit0 && atom <= DW_OP_lit31) {
                        stack[depth++] = (uint64_t)(atom - DW_OP_lit0);
                } else if (atom >= DW_OP_breg0 && atom <= DW_OP_breg31) {
                        uint64_t r;

                        if (!get_reg(w, (uint64_t)(atom - DW_OP_breg0), &r))
                                return false;
                        stack[depth++] = r + v;
                } else if (atom == DW_OP_bregx) {
                        uint64_t r;

                        if (!get_reg(w, v, &r))
                                return false;
                        stack[depth++] = r + ops[i].number2;
                } else if ((atom >= DW_OP_reg0 && atom <= DW_OP_reg31) || atom == DW_OP_regx) {
                        if (!get_reg(w, atom == DW_OP_regx ? v : (uint64_t)(atom - DW_OP_reg0),
                                     &stack[depth++]))
                                return false;
                        *is_value = true;
                } else if (atom == DW_OP_call_frame_cfa) {
                        if (!has_cfa)
                                return false;
                        stack[depth++] = w->cfa;
                } else if ((atom >= DW_OP_const1u && atom <= DW_OP_consts) || atom == DW_OP_addr) {
                        stack[depth++] = v;
                } else if (atom == DW_OP_stack_value) {
                        *is_value = true;
                } else if (atom == DW_OP_nop) {
                        continue;
                } else if (depth == 0) {
                        return false;
                } else if (atom == DW_OP_plus_uconst) {
                        stack[depth - 1] += v;
                } else if (atom == DW_OP_deref) {
                        if (!w->read(w->context, stack[depth - 1], &stack[depth - 1]))
                                return false;
                } else if (atom == DW_OP_dup) {
                        stack[depth] = stack[depth - 1];
                        depth++;
                } else if (atom == DW_OP_drop) {
                        depth--;
                } else if (depth < 2 ||
                           !binary(atom, stack[depth - 2], stack[depth - 1], &stack[depth - 2])) {
                        return false;
                } else {
                        depth--;
                }
        }
        if (!depth)
                return false;
        *out = stack[depth - 1];
        return true;
}

static const Module *find_module(Unwinder *u, uint64_t pc, uint64_t *base) {
        size_t lo = 0, hi = u->n;

        if (pc >= u->vdso && pc < u->vdso_end) {
                *base = u->vdso;
                return &u->vdso_module;
        }
        while (lo < hi) { /* the last image at or below pc */
                size_t mid = lo + (hi - lo) / 2;

                if (u->loaded[mid].base + u->loaded[mid].head.lo <= pc)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        if (!lo || pc >= u->loaded[lo - 1].base + u->loaded[lo - 1].head.hi)
                return NULL;
        *base = u->loaded[lo - 1].base;
        return module_of(u, lo - 1);
}

static bool callee_saved(unsigned reg) {
        return reg == 3 || reg == 6 || reg >= 12;
}

/* One frame outwards. 1: this is the outermost. */
static int step(Unwinder *u, Walk *w, bool exact, bool *was_signal) {
        uint64_t base, pc = w->regs[REG_RIP], value;
        const Module *m = find_module(u, pc, &base);
        Walk next = *w;
        Dwarf_Frame *frame;
        Dwarf_Op mem[3], *ops;
        bool is_value;
        size_t n;

        /* A return address may lie behind the function that it belongs to. */
        if (!m || !m->cfi || dwarf_cfi_addrframe(m->cfi, pc - base - (exact ? 0 : 1), &frame) != 0)
                return -ENODATA;
        if (dwarf_frame_info(frame, NULL, NULL, was_signal) != REG_RIP ||
            dwarf_frame_cfa(frame, &ops, &n) != 0 || !n || !evaluate(w, ops, n, false, &w->cfa, &is_value)) {
                free(frame);
                return -ENODATA;
        }
        for (unsigned reg = 0; reg < N_REGS; reg++) {
                if (dwarf_frame_register(frame, (int)reg, mem, &ops, &n) != 0) {
                        free(frame);
                        return -ENODATA;
                }
                if (n == 0) { /* untouched, or lost; libdw has rbx among the lost ones by default */
                        if (reg == REG_RIP) {
                                free(frame);
                                return ops == mem ? 1 : -ENODATA;
                        }
                        next.known[reg] = w->known[reg] && callee_saved(reg);
                        continue;
                }
                next.known[reg] = evaluate(w, ops, n, true, &value, &is_value) &&
                                  (is_value || w->read(w->context, value, &value));
                next.regs[reg] = value;
        }
        free(frame);
        if (!*was_signal) { /* the caller's stack pointer is the CFA, by definition */
                next.regs[REG_RSP] = w->cfa;
                next.known[REG_RSP] = true;
                if (w->cfa <= w->regs[REG_RSP])
                        return -ENODATA; /* no progress */
        }
        if (!next.known[REG_RIP] || !next.known[REG_RSP])
                return -ENODATA;
        *w = next;
        return next.regs[REG_RIP] == 0 ? 1 : 0;
}

int unwind_thread(Unwinder *u, const struct user_regs_struct *g, UnwindRead read, UnwindFrame frame,
                  void *context) {
        Walk w = { .regs = { g->rax, g->rdx, g->rcx, g->rbx, g->rsi, g->rdi, g->rbp, g->rsp, g->r8, g->r9,
                             g->r10, g->r11, g->r12, g->r13, g->r14, g->r15, g->rip },
                   .read = read,
                   .context = context };
        bool exact = true;

        for (unsigned i = 0; i < N_REGS; i++)
                w.known[i] = true;
        for (unsigned i = 0; i < MAX_FRAMES; i++) {
                bool signal_frame = false;
                int r = frame(context, w.regs[REG_RIP], exact);

                if (r)
                        return r;
                r = step(u, &w, exact, &signal_frame);
                if (r)
                        return r > 0 ? 0 : r;
                exact = signal_frame;
        }
        return -ENODATA;
}
