/* SPDX-License-Identifier: Apache-2.0 */
#include "apply/import.h"
#include "base/macro.h"
#include "proc/mem.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

/*
 * Everything is read from the process's memory, the way its dynamic linker reads it. An address
 * that the linker has bound already (a GOT slot for the same symbol and version) is preferred: it
 * is what the process uses, also for IFUNCs. Otherwise the definition is looked up.
 */
enum {
        MAX_DYNAMIC = 512,
        MAX_RELA = 4 << 20,
        MAX_NAME = 1024,
        MAX_CHAIN = 1 << 20,
        MAX_VERSIONS = 4096,
        CHOOSE_USEC = 1000000,
        WORK = 1
               << 30, /* for one patch in one process: bytes read, or so; 200 large libraries take a tenth */
        READ_COST = 256,
};

typedef struct Dyn {
        pid_t pid;
        uint64_t base, lo, hi; /* addresses */
        uint64_t symtab, strtab, strsz, gnu_hash, versym, verdef, verdefnum, verneed, verneednum;
        uint64_t rela, relasz, jmprel, pltrelsz;
        uint8_t *strings;
        uint64_t *work; /* what is left of WORK: the tables are the process's, and say what it likes */
} Dyn;

static bool get(const Dyn *d, uint64_t addr, void *to, size_t size) {
        uint64_t cost = READ_COST + size;

        if (*d->work < cost) {
                *d->work = 0;
                return false;
        }
        *d->work -= cost;
        return mem_read(d->pid, addr, to, size) == 0;
}

static void dyn_free(Dyn *d) {
        free(d->strings);
}

static uint64_t pointer(const Dyn *d, uint64_t p) {
        return !p || (p >= d->lo && p < d->hi) ? p : d->base + p;
}

static int dyn_read(pid_t pid, const Loaded *l, uint64_t *work, Dyn *out) {
        Elf64_Dyn entries[MAX_DYNAMIC];
        Dyn d = { .pid = pid,
                  .base = l->base,
                  .lo = l->base + l->head.lo,
                  .hi = l->base + l->head.hi,
                  .work = work };
        size_t n = MIN(l->head.dynamic_size / sizeof(*entries), MAX_DYNAMIC);

        if (!l->head.dynamic || !get(&d, l->base + l->head.dynamic, entries, n * sizeof(*entries)))
                return -ENOENT;
        for (size_t i = 0; i < n && entries[i].d_tag != DT_NULL; i++) {
                uint64_t v = entries[i].d_un.d_val, p = pointer(&d, v);

                switch (entries[i].d_tag) {
                case DT_SYMTAB:
                        d.symtab = p;
                        break;
                case DT_STRTAB:
                        d.strtab = p;
                        break;
                case DT_STRSZ:
                        d.strsz = v;
                        break;
                case DT_GNU_HASH:
                        d.gnu_hash = p;
                        break;
                case DT_VERSYM:
                        d.versym = p;
                        break;
                case DT_VERDEF:
                        d.verdef = p;
                        break;
                case DT_VERDEFNUM:
                        d.verdefnum = v;
                        break;
                case DT_VERNEED:
                        d.verneed = p;
                        break;
                case DT_VERNEEDNUM:
                        d.verneednum = v;
                        break;
                case DT_RELA:
                        d.rela = p;
                        break;
                case DT_RELASZ:
                        d.relasz = v;
                        break;
                case DT_JMPREL:
                        d.jmprel = p;
                        break;
                case DT_PLTRELSZ:
                        d.pltrelsz = v;
                        break;
                }
        }
        if (!d.symtab || !d.strtab || !d.strsz || d.strsz > 64 << 20)
                return -ENOENT;
        d.strings = malloc(d.strsz + 1);
        if (!d.strings || !get(&d, d.strtab, d.strings, d.strsz)) {
                free(d.strings);
                return -ENOENT;
        }
        d.strings[d.strsz] = 0;
        *out = d;
        return 0;
}

static const char *dyn_string(const Dyn *d, uint64_t offset) {
        return offset < d->strsz ? (const char *)d->strings + offset : "";
}

/* Name of the version of a symbol; "" when it has none or is local/global. */
static const char *symbol_version(const Dyn *d, uint64_t index, bool *hidden) {
        uint16_t v;
        uint64_t at;

        *hidden = false;
        if (!d->versym || !get(d, d->versym + 2 * index, &v, sizeof(v)))
                return "";
        *hidden = v & 0x8000;
        v &= 0x7fff;
        if (v < 2)
                return "";
        at = d->verdef;
        for (uint64_t i = 0; at && i < MIN(d->verdefnum, MAX_VERSIONS); i++) {
                Elf64_Verdef def;
                Elf64_Verdaux aux;

                if (!get(d, at, &def, sizeof(def)))
                        break;
                if (def.vd_ndx == v && get(d, at + def.vd_aux, &aux, sizeof(aux)))
                        return dyn_string(d, aux.vda_name);
                if (!def.vd_next)
                        break;
                at += def.vd_next;
        }
        at = d->verneed;
        for (uint64_t i = 0; at && i < MIN(d->verneednum, MAX_VERSIONS); i++) {
                Elf64_Verneed need;
                uint64_t a;

                if (!get(d, at, &need, sizeof(need)))
                        break;
                a = at + need.vn_aux;
                for (unsigned k = 0; k < need.vn_cnt && k < MAX_VERSIONS; k++) {
                        Elf64_Vernaux aux;

                        if (!get(d, a, &aux, sizeof(aux)))
                                break;
                        if ((aux.vna_other & 0x7fff) == v)
                                return dyn_string(d, aux.vna_name);
                        if (!aux.vna_next)
                                break;
                        a += aux.vna_next;
                }
                if (!need.vn_next)
                        break;
                at += need.vn_next;
        }
        return "";
}

/* Of the symbol that a slot of the dynamic linker is for; "" when there is none. */
static const char *slot_symbol(const Dyn *d, const Elf64_Rela *rela) {
        uint32_t type = ELF64_R_TYPE(rela->r_info), index = ELF64_R_SYM(rela->r_info);
        Elf64_Sym sym;

        if ((type != R_X86_64_GLOB_DAT && type != R_X86_64_JUMP_SLOT) || !index ||
            !get(d, d->symtab + (uint64_t)index * sizeof(sym), &sym, sizeof(sym)))
                return "";
        return dyn_string(d, sym.st_name);
}

/* What the dynamic linker has put there; 0: nothing yet. */
static uint64_t slot_value(const Dyn *d, const Elf64_Rela *rela) {
        uint64_t value;

        if (!get(d, d->base + rela->r_offset, &value, sizeof(value)))
                return 0;
        /* A slot that is not bound yet leads to its own PLT entry. */
        return ELF64_R_TYPE(rela->r_info) == R_X86_64_JUMP_SLOT && value >= d->lo && value < d->hi ? 0
                                                                                                   : value;
}

/* Values of slots that the dynamic linker has filled. Returns how many it found. */
static size_t bound_in(const Dyn *d, const Patch *p, uint64_t *values) {
        const uint64_t tables[2][2] = { { d->rela, d->relasz }, { d->jmprel, d->pltrelsz } };
        size_t found = 0;

        for (unsigned t = 0; t < 2; t++) {
                uint64_t size = tables[t][1];
                _cleanup_(freep) Elf64_Rela *rela = NULL;

                if (!tables[t][0] || !size || size > MAX_RELA * sizeof(*rela))
                        continue;
                rela = malloc(size);
                if (!rela || !get(d, tables[t][0], rela, size))
                        continue;
                for (size_t k = 0; k < size / sizeof(*rela) && *d->work; k++) {
                        const char *name = slot_symbol(d, &rela[k]);
                        uint32_t index = ELF64_R_SYM(rela[k].r_info);
                        bool hidden;

                        for (size_t i = 0; *name && i < p->n_imports; i++) {
                                const PatchImport *x = &p->imports[i];

                                if (values[i] || strcmp(name, x->name) != 0 ||
                                    (x->version[0] &&
                                     strcmp(symbol_version(d, index, &hidden), x->version) != 0))
                                        continue;
                                values[i] = slot_value(d, &rela[k]);
                                found += values[i] != 0;
                        }
                }
        }
        return found;
}

static uint32_t gnu_hash(const char *name) {
        uint32_t h = 5381;

        for (; *name; name++)
                h = h * 33 + (uint8_t)*name;
        return h;
}

/* The address of a definition, or (*ifunc) of the function that chooses it; 0: none. */
static uint64_t defined_in(const Dyn *d, const PatchImport *x, bool *ifunc) {
        uint32_t head[4], h = gnu_hash(x->name), index, hash;
        uint64_t buckets, chains, fallback = 0;
        bool fallback_chooses = false;

        *ifunc = false;
        if (!d->gnu_hash || !get(d, d->gnu_hash, head, sizeof(head)) || !head[0])
                return 0;
        buckets = d->gnu_hash + 16 + (uint64_t)head[2] * 8;
        chains = buckets + (uint64_t)head[0] * 4;
        if (!get(d, buckets + (uint64_t)(h % head[0]) * 4, &index, 4) || index < head[1])
                return 0;
        for (unsigned i = 0; i < MAX_CHAIN; i++, index++) {
                Elf64_Sym sym;

                if (!get(d, chains + (uint64_t)(index - head[1]) * 4, &hash, 4))
                        break;
                if ((hash | 1) == (h | 1) &&
                    get(d, d->symtab + (uint64_t)index * sizeof(sym), &sym, sizeof(sym)) &&
                    strcmp(dyn_string(d, sym.st_name), x->name) == 0 && sym.st_shndx != SHN_UNDEF) {
                        unsigned type = ELF64_ST_TYPE(sym.st_info);
                        bool hidden;
                        const char *version = symbol_version(d, index, &hidden);
                        uint64_t value = (sym.st_shndx == SHN_ABS ? 0 : d->base) + sym.st_value;

                        if (type == STT_TLS)
                                return 0;
                        if (x->version[0] ? strcmp(version, x->version) == 0 : !hidden) {
                                *ifunc = type == STT_GNU_IFUNC;
                                return value;
                        }
                        if (x->version[0] && !version[0]) { /* an image without versions satisfies any */
                                fallback = value;
                                fallback_chooses = type == STT_GNU_IFUNC;
                        }
                }
                if (hash & 1)
                        break;
        }
        *ifunc = fallback_chooses;
        return fallback;
}

uint64_t import_defined(const Session *s, const Loaded *l, const char *name) {
        const PatchImport x = { .name = name, .version = "", .function = true };
        _cleanup_(dyn_free) Dyn d = { 0 };
        bool ifunc = false;
        uint64_t work = WORK, v = dyn_read(s->pid, l, &work, &d) < 0 ? 0 : defined_in(&d, &x, &ifunc);

        return ifunc ? 0 : v;
}

/* Lets the process choose: the functions that do so look at the processor and nothing else. */
static int choose(Session *s, const Patch *p, int mem_fd, uint64_t *values, const bool *ifunc, Error *e) {
        static const uint64_t none[3];
        Remote remote = { 0 };
        int r = 0;

        for (size_t i = 0; i < p->n_imports && r == 0; i++) {
                if (!ifunc[i])
                        continue;
                if (!remote.tid)
                        r = session_remote(s, &remote, e);
                if (r == 0)
                        r = remote_invoke(&remote, mem_fd, values[i], none, CHOOSE_USEC, &values[i]);
                if (r == -ETIMEDOUT)
                        r = refuse(s->res, REFUSAL_CODE_IMPORT_UNRESOLVED, p->imports[i].name,
                                   "the function that chooses between its definitions does not return");
                if (r == -EOPNOTSUPP)
                        r = refuse(s->res, REFUSAL_CODE_IMPORT_UNRESOLVED, p->imports[i].name,
                                   "a function chooses its definition, and process %d has shadow stacks",
                                   s->pid);
                if (r == -ENOMEM)
                        r = refuse(s->res, REFUSAL_CODE_NO_ROOM, p->name,
                                   "the kernel gives process %d no more memory or mappings", s->pid);
        }
        remote_close(&remote);
        return r < 0 ? error_errno(e, r, "process %d: an IFUNC did not choose", s->pid) : r;
}

int imports_resolve(Session *s, const Patch *p, uint64_t image_base, int mem_fd, uint64_t **out, Error *e) {
        _cleanup_(freep) uint64_t *values = calloc(p->n_imports + 1, sizeof(*values));
        _cleanup_(freep) bool *ifunc = calloc(p->n_imports + 1, sizeof(*ifunc));
        size_t open = p->n_imports, first = 0;
        uint64_t work = WORK;
        int r;

        if (!values || !ifunc)
                return error_errno(e, -ENOMEM, "imports");
        for (size_t i = 0; i < s->n_loaded; i++)
                if (s->loaded[i].base == image_base)
                        first = i;
        /* Slots first, of the image itself and then of the others; then definitions. */
        for (unsigned round = 0; round < 2 && open; round++)
                for (size_t k = 0; k < s->n_loaded && open; k++) {
                        const Loaded *l = &s->loaded[k == 0 ? first : k <= first ? k - 1 : k];
                        _cleanup_(dyn_free) Dyn d = { 0 };

                        if (dyn_read(s->pid, l, &work, &d) < 0)
                                continue;
                        if (round == 0)
                                open -= bound_in(&d, p, values);
                        for (size_t i = 0; round == 1 && i < p->n_imports; i++) {
                                if (values[i])
                                        continue;
                                values[i] = defined_in(&d, &p->imports[i], &ifunc[i]);
                                open -= values[i] != 0;
                        }
                }
        if (open && !work)
                return refuse(s->res, REFUSAL_CODE_IMPORT_UNRESOLVED, p->name,
                              "the tables of the images in process %d are too large to be looked through",
                              s->pid);
        for (size_t i = 0; i < p->n_imports; i++)
                if (!values[i] && !p->imports[i].weak)
                        return refuse(s->res, REFUSAL_CODE_IMPORT_UNRESOLVED, p->imports[i].name, "%s%s",
                                      p->imports[i].version[0] ? "version " : "", p->imports[i].version);
        r = choose(s, p, mem_fd, values, ifunc, e);
        if (r == 0)
                *out = TAKE_PTR(values);
        return r;
}
