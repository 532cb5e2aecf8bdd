/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/values-run.h"

#include <elf.h>
#include <string.h>

/* Addresses, loads and stores, and what is recorded of them. */

Value run_global(Run *r, uint64_t addr) {
        return (Value){ node_make(r->w, &(Node){ .kind = NODE_GLOBAL, .off = (int64_t)addr }), 0, 0, 0 };
}

static bool looks_like_address(const Run *r, int64_t v) {
        const Image *image = r->code->image;

        return image->type == ET_EXEC && (uint64_t)v >= image->lo && (uint64_t)v < image->hi && v > 4096 &&
               image_section_at(image, (uint64_t)v);
}

bool run_own_global(const Run *r, Value v, uint64_t *addr) {
        const Node *n = &r->w->nodes[v.root];

        if (v.root < ROOT_FIRST || n->kind != NODE_GLOBAL)
                return false;
        *addr = (uint64_t)(n->off + v.off);
        return true;
}

Value run_imm(Run *r, const Op *op) {
        return looks_like_address(r, op->imm) && op->size >= 4 ? run_global(r, (uint64_t)op->imm)
                                                               : value_const(op->imm);
}

Value run_address(Run *r, const State *s, const Op *op) {
        Value v = value_const(0);

        r->table = 0;
        if (op->rip) {
                v = run_global(r, (uint64_t)op->disp);
        } else {
                if (op->base >= 0 && op->base == op->index) {
                        v = value_scale(s->reg[op->base], 1 + op->scale);
                } else {
                        if (op->base >= 0)
                                v = s->reg[op->base];
                        if (op->index >= 0 && run_own_global(r, v, &r->table))
                                r->table += (uint64_t)op->disp;
                        if (op->index >= 0 && op->scale > 1)
                                record_scaled(r, s->reg[op->index]);
                        if (op->index >= 0)
                                v = value_add(r->w, v, value_scale(s->reg[op->index], op->scale));
                }
                if (op->index >= 0 && op->base < 0)
                        r->table = (uint64_t)op->disp;
                if (looks_like_address(r, op->disp))
                        v = value_add(r->w, run_global(r, (uint64_t)op->disp), v);
                else
                        v = value_add(r->w, v, value_const(op->disp));
        }
        if (!op->thread)
                return v;
        v = values_canonical(r->w, r->side, v);
        if (v.root == ROOT_NONE)
                return (Value){ ROOT_THREAD, v.stride, v.off, v.outer };
        return (Value){ node_make(r->w, &(Node){ .kind = NODE_LOAD, .a = ROOT_THREAD, .b = v.root }),
                        v.stride, v.off, v.outer };
}

bool run_read_only(const Image *image, uint64_t addr) {
        const ImageSection *s = image_section_at(image, addr);

        return s && !(s->flags & SHF_WRITE);
}

static uint32_t symbol_variable(Values *w, const char *name) {
        uint32_t function = values_symbol_root(w, name), root;

        root = node_make(w, &(Node){ .kind = NODE_SYMBOL, .off = w->nodes[function].off });
        w->nodes[root].name = w->nodes[function].name;
        return root;
}

/* What a slot of the GOT holds: the address of a symbol or of a variable of this image. */
static bool got_value(Run *r, uint64_t addr, Value *out) {
        const Image *image = r->code->image;
        const ImageSection *s = image_section_at(image, addr);
        const ImageReloc *rel;
        const ImageSymbol *sym;

        if (!s || strncmp(s->name, ".got", 4) != 0 || !(rel = image_reloc_at(image, addr)))
                return false;
        if (rel->type == R_X86_64_RELATIVE) {
                *out = run_global(r, (uint64_t)rel->addend);
                return true;
        }
        if (!rel->symbol || rel->symbol >= image->n_dynsyms) {
                if (rel->type != R_X86_64_TPOFF64)
                        return false;
                *out = (Value){ node_make(r->w, &(Node){ .kind = NODE_SYMBOL, .a = 1, .off = rel->addend }),
                                0, 0, 0 };
                return true;
        }
        sym = &image->dynsyms[rel->symbol];
        if (rel->type == R_X86_64_TPOFF64 ||
            (!sym->defined && sym->type != STT_FUNC && sym->type != STT_NOTYPE && sym->type != STT_GNU_IFUNC))
                *out = (Value){ symbol_variable(r->w, sym->name), 0, 0, 0 };
        else if (sym->defined)
                *out = run_global(r, sym->addr);
        else
                *out = (Value){ values_symbol_root(r->w, sym->name), 0, 0, 0 };
        return true;
}

Value run_load_stack(Run *r, const State *s, Value at, uint32_t width) {
        const Escape *best = NULL;
        uint32_t i;

        if (at.stride)
                return value_any();
        i = state_slot_at(s, at.off);
        if (i < s->n && s->slots[i].off < at.off + (int64_t)width)
                return s->slots[i].off == at.off && s->slots[i].width >= width ? s->slots[i].v : value_any();
        if (width != 8)
                return value_any();
        if (at.off >= 8)
                return (Value){ values_param(r->w, (unsigned)MIN((at.off - 8) / 8 + 6, 200)), 0, 0, 0 };
        for (size_t k = 0; k < r->escapes.n; k++) {
                const Escape *e = &r->escapes.items[k];

                if (e->off <= at.off && at.off - e->off < ESCAPE_SPAN && (!best || e->off > best->off))
                        best = e;
        }
        if (!best || r->w->nodes[best->root].depth >= NODE_MAX_DEPTH)
                return value_any();
        return (Value){ node_make(r->w,
                                  &(Node){ .kind = NODE_LOAD, .a = best->root, .off = at.off - best->off }),
                        0, 0, 0 };
}

Value run_load(Run *r, const State *s, Value at, uint32_t width) {
        uint64_t addr;
        Value v;

        if (at.root == ROOT_STACK)
                return run_load_stack(r, s, at, width);
        if (run_own_global(r, at, &addr)) {
                if (width == 8 && !at.stride && got_value(r, addr, &v))
                        return v;
                if (width == 4 && r->table && run_read_only(r->code->image, r->table))
                        return (Value){ node_make(r->w,
                                                  &(Node){ .kind = NODE_TABLE, .off = (int64_t)r->table }),
                                        0, 0, 0 };
        }
        at = values_canonical(r->w, r->side, at);
        if (width != 8 || at.root == ROOT_NONE)
                return value_any();
        if (at.root == ROOT_CONFLICT)
                return (Value){ ROOT_CONFLICT, 0, 0, 0 };
        if (at.root == ROOT_THREAD && at.off == 0 && at.stride == 0)
                return (Value){ ROOT_THREAD, 0, 0, 0 };
        if (r->w->nodes[at.root].kind == NODE_JOIN) {
                const Value *members = r->w->nodes[at.root].members;
                size_t n = r->w->nodes[at.root].n_members;

                v.root = (uint32_t)VALUE_UNSET;
                for (size_t i = 0; i < n; i++) {
                        Value m = members[i];

                        m.off += at.off;
                        m.stride = m.stride && at.stride ? 1 : m.stride | at.stride;
                        m.outer = MAX(m.outer, at.outer);
                        v = value_join(r->w, v, run_load(r, s, m, width));
                }
                return v;
        }
        if (r->w->nodes[at.root].depth >= NODE_MAX_DEPTH)
                return value_any();
        return (Value){
                node_make(r->w,
                          &(Node){ .kind = NODE_LOAD, .a = at.root, .off = at.off, .stride = at.stride }),
                0, 0, 0
        };
}

void run_store(State *s, Value at, uint32_t width, Value v) {
        if (at.root != ROOT_STACK || at.stride)
                return;
        if (width == 8 || width == 4)
                state_slot_set(s, at.off, width, v);
        else
                state_slots_kill(s, at.off, width);
}

/* What is reached in steps is one of two members that were chosen from, or lies in them. */
static void record_choice(Run *r, Value at, uint32_t width, uint8_t class, uint8_t flags) {
        const Op *op = &r->ops[r->op];

        for (size_t i = 0; at.stride && i < r->choices.n; i++) {
                const Value *c = &r->choices.items[i];

                if (at.root != c->root || at.stride != c->stride || at.off < c->off ||
                    value_distance(at.off, c->off) > MAX_CHOICE)
                        continue;
                for (unsigned k = 0; k < 2; k++)
                        vec_push(&r->accesses, (Access){ { at.root, 0, at.off + (k ? at.stride : 0), 0 },
                                                         (uint16_t)MIN(width, UINT16_MAX),
                                                         class,
                                                         flags,
                                                         op->insn,
                                                         r->op });
                break;
        }
}

void record_place(Run *r, Value at, uint32_t width, uint8_t class, uint8_t flags) {
        const Op *op = &r->ops[r->op];
        const Node *n = &r->w->nodes[at.root];

        if (at.root >= ROOT_FIRST && n->kind == NODE_JOIN) {
                uint16_t members = n->n_members;
                const Value *set = n->members;

                for (uint16_t i = 0; i < members; i++) {
                        Value m = set[i];

                        m.off += at.off;
                        m.stride = m.stride && at.stride ? 1 : m.stride | at.stride;
                        m.outer = MAX(m.outer, at.outer);
                        record_place(r, m, width, class, flags);
                }
                return;
        }
        if (at.root >= ROOT_FIRST && n->kind == NODE_SUM && r->side == SIDE_OLD) {
                uint32_t a = n->a, b = n->b;

                vec_push(&r->accesses, (Access){ { a, 1, at.off, 0 },
                                                 (uint16_t)MIN(width, UINT16_MAX),
                                                 class,
                                                 flags,
                                                 op->insn,
                                                 r->op });
                vec_push(&r->accesses, (Access){ { b, 1, at.off, 0 },
                                                 (uint16_t)MIN(width, UINT16_MAX),
                                                 class,
                                                 flags,
                                                 op->insn,
                                                 r->op });
        }
        vec_push(&r->accesses,
                 (Access){ at, (uint16_t)MIN(width, UINT16_MAX), class, flags, op->insn, r->op });
        record_choice(r, at, width, class, flags);
}

void record_access(Run *r, Value at, uint32_t width, uint8_t class, uint8_t flags) {
        if (r->record && r->copies_whole && (flags & ACCESS_READ))
                record_own_read(r, at, width, class);
        if (r->record && at.root == ROOT_STACK && !at.stride && at.off >= 8 && at.off % 8 &&
            (flags & ACCESS_READ))
                vec_push(&r->given, (Access){ at, (uint16_t)MIN(width, UINT16_MAX), class, ACCESS_READ,
                                              r->ops[r->op].insn, r->op });
        if (!r->record || !flags || at.root == ROOT_STACK || width == 0)
                return;
        if (at.root == ROOT_THREAD && at.stride == 0 && (at.off == 0x28 || at.off == 0))
                return;
        record_place(r, values_canonical(r->w, r->side, at), width, class, flags);
}

/* What the old code gives to a function that walks through bytes holds bytes. */
void record_strings(Run *r, const CallSite *c) {
        const Known *known = r->w->nodes[c->callee].known;

        if (r->side != SIDE_OLD || !known)
                return;
        for (unsigned i = 0; i < VALUES_MAX_ARGS; i++)
                if ((known->strings & (1u << i)) && c->args[i].root != ROOT_NONE &&
                    c->args[i].root != ROOT_STACK)
                        record_place(r, (Value){ c->args[i].root, 1, c->args[i].off, 0 }, 1, CLASS_INT,
                                     ACCESS_READ);
}

void record_value(Run *r, Value v) {
        if (r->record)
                r->op_value[r->op] = values_canonical(r->w, r->side, v);
}

void record_scaled(Run *r, Value v) {
        if (r->record && v.root >= ROOT_FIRST && v.root != (uint32_t)VALUE_UNSET &&
            r->w->nodes[v.root].kind == NODE_LOAD)
                vec_push(&r->scaled, v.root);
}

void record_store(Run *r, Value at, uint32_t width, Value v) {
        Store x;

        if (!r->record || width != 8 || at.root == ROOT_STACK || at.root == ROOT_NONE ||
            v.root == ROOT_NONE || v.root == ROOT_STACK)
                return;
        x = (Store){ values_canonical(r->w, r->side, at), values_canonical(r->w, r->side, v) };
        if (x.value.root >= ROOT_FIRST && r->w->nodes[x.value.root].kind != NODE_FUNCTION)
                vec_push(&r->stores, x);
}
