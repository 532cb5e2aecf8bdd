/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/values-run.h"

#include <string.h>

/* Registers and stack slots at one point of a function. */

void state_copy(State *to, const State *from) {
        memcpy(to->reg, from->reg, sizeof(to->reg));
        if (to->room < from->n) {
                to->room = from->n + 8;
                to->slots = vec_grow(to->slots, to->room, sizeof(Slot));
        }
        if (from->n)
                memcpy(to->slots, from->slots, from->n * sizeof(Slot));
        to->n = from->n;
}

uint32_t state_slot_at(const State *s, int64_t off) {
        uint32_t lo = 0, hi = s->n;

        while (lo < hi) {
                uint32_t mid = (lo + hi) / 2;

                if (s->slots[mid].off + (int64_t)s->slots[mid].width <= off)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

void state_slots_kill(State *s, int64_t off, uint32_t width) {
        uint32_t i = state_slot_at(s, off), j = i;

        while (j < s->n && s->slots[j].off < off + (int64_t)width)
                j++;
        if (j > i) {
                memmove(&s->slots[i], &s->slots[j], (s->n - j) * sizeof(Slot));
                s->n -= j - i;
        }
}

void state_numbers_kill(State *s, int64_t from, int64_t to) {
        uint32_t kept = state_slot_at(s, from), i = kept;

        for (; i < s->n && s->slots[i].off < to; i++)
                if (s->slots[i].v.root != ROOT_NONE)
                        s->slots[kept++] = s->slots[i];
        if (kept == i)
                return;
        memmove(&s->slots[kept], &s->slots[i], (s->n - i) * sizeof(Slot));
        s->n -= i - kept;
}

void state_slot_set(State *s, int64_t off, uint32_t width, Value v) {
        uint32_t i;

        state_slots_kill(s, off, width);
        if (s->n >= MAX_SLOTS)
                return;
        if (s->n == s->room) {
                s->room = s->room ? s->room * 2 : 16;
                s->slots = vec_grow(s->slots, s->room, sizeof(Slot));
        }
        i = state_slot_at(s, off);
        memmove(&s->slots[i + 1], &s->slots[i], (s->n - i) * sizeof(Slot));
        s->slots[i] = (Slot){ off, width, v };
        s->n++;
}

Value run_join(Run *r, Value a, Value b) {
        if (a.root != b.root && a.root != (uint32_t)VALUE_UNSET && b.root != (uint32_t)VALUE_UNSET &&
            a.root != ROOT_NONE && b.root != ROOT_NONE) {
                a = values_canonical(r->w, r->side, a);
                b = values_canonical(r->w, r->side, b);
        }
        return value_join(r->w, a, b);
}

bool state_join(Run *r, State *to, const State *from, bool widen) {
        bool changed = false;
        uint32_t k = 0, i = 0, j = 0;

        for (int x = 0; x < 16; x++) {
                Value v = run_join(r, to->reg[x], from->reg[x]);

                if (value_equal(v, to->reg[x]))
                        continue;
                to->reg[x] = widen ? (x == RSP ? (Value){ ROOT_STACK, 1, 0, 0 } : value_any()) : v;
                changed = changed || !value_equal(v, to->reg[x]) || !widen;
        }
        while (i < to->n) {
                Slot *s = &to->slots[i];

                while (j < from->n && from->slots[j].off < s->off)
                        j++;
                if (j < from->n && from->slots[j].off == s->off && from->slots[j].width == s->width) {
                        Value v = run_join(r, s->v, from->slots[j].v);

                        if (!value_equal(v, s->v)) {
                                s->v = widen ? value_any() : v;
                                changed = true;
                        }
                        to->slots[k++] = *s;
                } else {
                        changed = true;
                }
                i++;
        }
        to->n = k;
        return changed;
}
