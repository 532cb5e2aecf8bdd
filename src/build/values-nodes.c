/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "build/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint64_t mix(uint64_t h, uint64_t v) {
        h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
        return h ^ (h >> 29);
}

static uint64_t node_hash(const Node *n) {
        uint64_t h = mix(n->kind, ((uint64_t)n->a << 32) | n->b);

        h = mix(mix(h, n->stride), (uint64_t)n->off);
        for (size_t i = 0; i < n->n_members; i++)
                h = mix(mix(h, n->members[i].root), (uint64_t)n->members[i].off + n->members[i].stride);
        return h;
}

static bool node_equal(const Node *a, const Node *b) {
        if (a->kind != b->kind || a->a != b->a || a->b != b->b || a->stride != b->stride ||
            a->off != b->off || a->n_members != b->n_members)
                return false;
        for (size_t i = 0; i < a->n_members; i++)
                if (!value_equal(a->members[i], b->members[i]))
                        return false;
        return true;
}

static void table_grow(Values *w) {
        uint32_t size = w->table_size ? w->table_size * 2 : 1 << 14;

        free(w->table);
        w->table = calloc(size, sizeof(*w->table));
        if (!w->table)
                abort();
        w->table_size = size;
        for (uint32_t i = ROOT_FIRST; i < w->n_nodes; i++) {
                uint32_t at = (uint32_t)node_hash(&w->nodes[i]) & (size - 1);

                while (w->table[at])
                        at = (at + 1) & (size - 1);
                w->table[at] = i;
        }
}

uint32_t node_make(Values *w, const Node *key) {
        uint32_t at, depth = 0;
        Node n = *key;

        if (w->n_nodes * 2 >= w->table_size)
                table_grow(w);
        at = (uint32_t)node_hash(&n) & (w->table_size - 1);
        for (; w->table[at]; at = (at + 1) & (w->table_size - 1))
                if (node_equal(&w->nodes[w->table[at]], &n))
                        return w->table[at];
        if (w->n_nodes == w->room) {
                w->room = w->room ? w->room * 2 : 4096;
                w->nodes = vec_grow(w->nodes, w->room, sizeof(*w->nodes));
        }
        if (n.kind == NODE_LOAD || n.kind == NODE_RETURN || n.kind == NODE_SUM || n.kind == NODE_OUT) {
                depth = w->nodes[n.a].depth;
                if (n.kind != NODE_LOAD)
                        depth = MAX(depth, w->nodes[n.b].depth);
        }
        for (size_t i = 0; i < n.n_members; i++)
                depth = MAX(depth, w->nodes[n.members[i].root].depth);
        n.depth = (uint8_t)(depth + 1);
        if (n.n_members)
                n.members = arena_dup(w->arena, n.members, n.n_members * sizeof(Value));
        w->nodes[w->n_nodes] = n;
        w->table[at] = w->n_nodes;
        return w->n_nodes++;
}

bool value_of_variable(const Values *w, uint32_t root, uint64_t *addr) {
        for (unsigned i = 0; i < NODE_MAX_DEPTH + 2 && root >= ROOT_FIRST; i++) {
                const Node *n = values_node(w, root);

                if (n->kind != NODE_LOAD)
                        break;
                if (n->a == ROOT_IMAGE) {
                        *addr = (uint64_t)n->off;
                        return true;
                }
                root = n->a;
        }
        return false;
}

bool value_tells(const Values *w, Value v) {
        uint64_t addr;

        return value_is_const(v) || v.root == ROOT_IMAGE || value_of_variable(w, v.root, &addr);
}

uint32_t values_asked(const Values *w, const Value *args, unsigned n) {
        uint64_t h = 0;
        bool told = false;

        for (unsigned i = 0; i < n; i++) {
                bool tells = value_tells(w, args[i]);

                told = told || tells;
                h = mix(h, tells);
                if (tells)
                        h = mix(mix(h, ((uint64_t)args[i].root << 32) | args[i].stride),
                                (uint64_t)args[i].off);
        }
        return told ? (uint32_t)(h >> 16) | 1 : 0;
}

const Node *values_node(const Values *w, uint32_t root) {
        return &w->nodes[root];
}

uint32_t values_param(Values *w, unsigned i) {
        if (i >= VALUES_MAX_ARGS)
                return node_make(w, &(Node){ .kind = NODE_PARAM, .off = i });
        if (w->params[i] == ROOT_NONE)
                w->params[i] = node_make(w, &(Node){ .kind = NODE_PARAM, .off = i });
        return w->params[i];
}

static uint32_t gcd(uint64_t a, uint64_t b) {
        while (b) {
                uint64_t t = a % b;

                a = b;
                b = t;
        }
        return a > UINT32_MAX / 2 ? 1 : (uint32_t)a;
}

/* True when `inner` is `outer` or what it was loaded from, a few steps away. */
static bool derives(const Values *w, uint32_t outer, uint32_t inner) {
        for (unsigned i = 0; i < 5; i++) {
                const Node *n = &w->nodes[outer];

                if (outer == inner)
                        return true;
                if (outer < ROOT_FIRST)
                        return false;
                if (n->kind == NODE_LOAD)
                        outer = n->a;
                else if (n->kind == NODE_RETURN)
                        outer = n->b;
                else
                        return false;
        }
        return false;
}

/* What was loaded from an array covers what was loaded from one of its elements; two results of one
 * function are its result. */
static bool merge_like(Values *w, Value *in, Value v) {
        const Node *a = &w->nodes[in->root], *b = &w->nodes[v.root];

        if (in->root < ROOT_FIRST || v.root < ROOT_FIRST || a->kind != b->kind || a->a != b->a ||
            in->off != v.off || in->stride != v.stride)
                return false;
        if (a->kind == NODE_RETURN) {
                in->root = node_make(w, &(Node){ .kind = NODE_RETURN, .a = a->a });
                return true;
        }
        if (a->kind != NODE_LOAD || a->b != b->b)
                return false;
        /* (two arrays among the variables of the image have elements of two types) */
        if (a->a == ROOT_IMAGE && a->stride && b->stride && a->off != b->off)
                return false;
        if (a->stride && value_distance(a->off, b->off) % a->stride == 0 && b->stride % a->stride == 0)
                return true;
        if (b->stride && value_distance(a->off, b->off) % b->stride == 0 && a->stride % b->stride == 0) {
                in->root = v.root;
                return true;
        }
        return false;
}

/* Adds v (or, when it is a join, its members, displaced) to set; false when it is full. */
static bool set_add(Values *w, Value *set, size_t *n, Value v) {
        const Node *node = &w->nodes[v.root];

        if (v.root >= ROOT_FIRST && node->kind == NODE_JOIN) {
                const Value *members = node->members;
                size_t n_members = node->n_members;

                for (size_t i = 0; i < n_members; i++) {
                        Value m = members[i];

                        m.off += v.off;
                        m.stride = m.stride ? v.stride ? gcd(m.stride, v.stride) : m.stride : v.stride;
                        m.outer = MAX(m.outer, v.outer);
                        if (!set_add(w, set, n, m))
                                return false;
                }
                return true;
        }
        for (size_t i = 0; i < *n; i++) {
                if (value_equal(set[i], v))
                        return true;
                if (set[i].root == v.root && v.root != ROOT_IMAGE) {
                        uint32_t g = gcd(gcd(set[i].stride, v.stride), value_distance(set[i].off, v.off));

                        if (g != set[i].stride) {
                                set[i].off = MIN(set[i].off, v.off);
                                set[i].stride = g;
                        }
                        if (set[i].outer != v.outer)
                                set[i].outer = 0;
                        return true;
                }
                if (merge_like(w, &set[i], v))
                        return true;
                if (set[i].root >= ROOT_FIRST && derives(w, v.root, set[i].root))
                        return true;
                if (v.root >= ROOT_FIRST && derives(w, set[i].root, v.root)) {
                        set[i] = v;
                        return true;
                }
        }
        if (*n == JOIN_MAX)
                return false;
        set[(*n)++] = v;
        return true;
}

static int value_compare(const void *x, const void *y) {
        const Value *a = x, *b = y;

        if (a->root != b->root)
                return a->root < b->root ? -1 : 1;
        if (a->off != b->off)
                return a->off < b->off ? -1 : 1;
        return a->stride < b->stride ? -1 : a->stride > b->stride;
}

/*
 * One value of two paths. Numbers and addresses of one root melt into a stride; a null pointer
 * gives way to a pointer; a pointer that was loaded through the other one (the walk along a list)
 * is taken for the same kind of object; other pointers form a small set.
 */
Value value_join(Values *w, Value a, Value b) {
        if (a.root == (uint32_t)VALUE_UNSET || value_equal(a, b))
                return a.root == (uint32_t)VALUE_UNSET ? b : a;
        if (b.root == (uint32_t)VALUE_UNSET)
                return a;
        /* (two addresses of the image are two variables: those of one array have one root until here) */
        if (a.root == b.root && a.root != ROOT_IMAGE) {
                uint32_t g = gcd(gcd(a.stride, b.stride), value_distance(a.off, b.off));

                if (g == a.stride && a.outer == b.outer)
                        return a;
                return (Value){ a.root, g, g == a.stride ? a.off : MIN(a.off, b.off),
                                a.outer == b.outer ? a.outer : 0 };
        }
        if (a.root == ROOT_NONE && a.stride == 0 && a.off >= -4095 && a.off <= 4095)
                return b;
        if (b.root == ROOT_NONE && b.stride == 0 && b.off >= -4095 && b.off <= 4095)
                return a;
        if (a.root == ROOT_NONE || b.root == ROOT_NONE || a.root == ROOT_CONFLICT || b.root == ROOT_CONFLICT)
                return value_any();
        {
                Value set[JOIN_MAX];
                size_t n = 0;

                if (!set_add(w, set, &n, a) || !set_add(w, set, &n, b))
                        return value_any();
                if (n == 1)
                        return set[0];
                qsort(set, n, sizeof(*set), value_compare);
                return (Value){
                        node_make(w, &(Node){ .kind = NODE_JOIN, .members = set, .n_members = (uint16_t)n }),
                        0, 0, 0
                };
        }
}

static uint32_t stride_of(uint32_t a, uint32_t b) {
        return a == 0 ? b : b == 0 ? a : gcd(a, b);
}

/* True for what can only be a pointer, so that whatever is added to it is an index. */
static bool surely_pointer(const Values *w, uint32_t root) {
        const Node *n = &w->nodes[root];

        if (root == ROOT_STACK || root == ROOT_IMAGE || root == ROOT_THREAD)
                return true;
        return n->kind == NODE_GLOBAL || n->kind == NODE_FRESH || n->kind == NODE_FRESH_GLOBAL;
}

Value value_add(Values *w, Value a, Value b) {
        Value v = { .stride = stride_of(a.stride, b.stride),
                    .off = (int64_t)((uint64_t)a.off + (uint64_t)b.off),
                    .outer = MAX(a.outer, b.outer) };

        if (a.root == ROOT_CONFLICT || b.root == ROOT_CONFLICT)
                return (Value){ ROOT_CONFLICT, 0, 0, 0 };
        if (a.stride && b.stride && a.stride != b.stride)
                v.outer = MAX(v.outer, MAX(a.stride, b.stride));
        if (a.root == ROOT_NONE || b.root == ROOT_NONE) {
                v.root = a.root == ROOT_NONE ? b.root : a.root;
                return v;
        }
        {
                const Node *x = &w->nodes[a.root], *y = &w->nodes[b.root];

                if (x->kind == NODE_TABLE && y->kind == NODE_GLOBAL)
                        return (Value){ node_make(w, &(Node){ .kind = NODE_TARGET,
                                                              .a = a.root,
                                                              .off = y->off + b.off }),
                                        0, 0, 0 };
                if (y->kind == NODE_TABLE && x->kind == NODE_GLOBAL)
                        return (Value){ node_make(w, &(Node){ .kind = NODE_TARGET,
                                                              .a = b.root,
                                                              .off = x->off + a.off }),
                                        0, 0, 0 };
        }
        v.stride = 1;
        if (surely_pointer(w, a.root)) {
                v.root = a.root;
                v.off = a.off;
        } else if (surely_pointer(w, b.root)) {
                v.root = b.root;
                v.off = b.off;
        } else if (w->nodes[a.root].depth >= NODE_MAX_DEPTH || w->nodes[b.root].depth >= NODE_MAX_DEPTH ||
                   w->nodes[a.root].kind == NODE_SUM || w->nodes[b.root].kind == NODE_SUM) {
                return value_any();
        } else {
                v.root = node_make(
                        w, &(Node){ .kind = NODE_SUM, .a = MIN(a.root, b.root), .b = MAX(a.root, b.root) });
        }
        return v;
}

Value value_sub(Value a, Value b) {
        if (a.root == ROOT_CONFLICT || b.root == ROOT_CONFLICT)
                return (Value){ ROOT_CONFLICT, 0, 0, 0 };
        if (b.root == ROOT_NONE)
                return (Value){ a.root, stride_of(a.stride, b.stride),
                                (int64_t)((uint64_t)a.off - (uint64_t)b.off), MAX(a.outer, b.outer) };
        if (a.root == b.root)
                return a.stride || b.stride ? value_any()
                                            : value_const((int64_t)((uint64_t)a.off - (uint64_t)b.off));
        if (a.root == ROOT_NONE)
                return value_any();
        return (Value){ a.root, 1, a.off, 0 };
}

Value value_scale(Value a, int64_t factor) {
        uint64_t stride = a.root != ROOT_NONE ? 1 : a.stride;
        uint64_t by = factor < 0 ? (uint64_t) - (uint64_t)factor : (uint64_t)factor;

        if (factor == 1)
                return a;
        if (by > (1 << 24) || stride * by > (1 << 24))
                return value_any();
        return (Value){ ROOT_NONE, (uint32_t)(stride * by), (int64_t)((uint64_t)a.off * (uint64_t)factor),
                        (uint64_t)a.outer * by > (1 << 24) ? 0 : (uint32_t)(a.outer * by) };
}

static Value replaced(Values *w, uint32_t root, uint32_t from, Value to, bool *found, bool *failed) {
        Node n = w->nodes[root];

        if (root == from) {
                *found = true;
                return to;
        }
        if (root < ROOT_FIRST)
                return (Value){ root, 0, 0, 0 };
        switch (n.kind) {
        case NODE_LOAD: {
                Value a = replaced(w, n.a, from, to, found, failed);

                if (a.root == n.a && a.off == 0 && a.stride == 0)
                        break;
                if (a.root == ROOT_NONE || a.root == ROOT_CONFLICT ||
                    w->nodes[a.root].depth >= NODE_MAX_DEPTH) {
                        *failed = true;
                        break;
                }
                n.a = a.root;
                n.off += a.off;
                n.stride = stride_of(n.stride, a.stride);
                return (Value){ node_make(w, &n), 0, 0, 0 };
        }
        case NODE_RETURN: {
                Value a = replaced(w, n.a, from, to, found, failed),
                      b = replaced(w, n.b, from, to, found, failed);

                if (a.root == n.a && b.root == n.b)
                        break;
                if (b.root != n.b)
                        n.stride = values_asked(w, &b, 1);
                if (w->nodes[a.root].depth >= NODE_MAX_DEPTH || w->nodes[b.root].depth >= NODE_MAX_DEPTH) {
                        *failed = true;
                        break;
                }
                n.a = a.root;
                n.b = b.root == ROOT_STACK ? ROOT_NONE : b.root;
                return (Value){ node_make(w, &n), 0, 0, 0 };
        }
        default:
                break;
        }
        return (Value){ root, 0, 0, 0 };
}

bool values_substitute(Values *w, Value v, uint32_t from, Value to, Value *out) {
        bool found = false, failed = false;
        Value r = replaced(w, v.root, from, to, &found, &failed);

        if (!found || failed)
                return false;
        *out = (Value){ r.root, stride_of(r.stride, v.stride), r.off + v.off, v.outer };
        return true;
}

bool values_has_param(const Values *w, uint32_t root, unsigned *which) {
        const Node *n = &w->nodes[root];

        if (root < ROOT_FIRST)
                return false;
        switch (n->kind) {
        case NODE_PARAM:
                if (which)
                        *which = (unsigned)n->off;
                return true;
        case NODE_LOAD:
        case NODE_OUT:
                return values_has_param(w, n->a, which);
        case NODE_RETURN:
        case NODE_SUM:
                return values_has_param(w, n->a, which) || values_has_param(w, n->b, which);
        default:
                return false;
        }
}

bool values_to_caller(Values *w, Value v, const Value *args, Value *out) {
        unsigned which, rest;
        Value to;

        if (!values_has_param(w, v.root, &which)) {
                *out = v;
                return true;
        }
        if (which >= VALUES_MAX_ARGS)
                return false;
        to = args[which];
        if (to.root == ROOT_NONE || to.root == ROOT_CONFLICT)
                return false;
        /* a root with two different parameters is not followed */
        if (!values_substitute(w, v, values_param(w, which), (Value){ ROOT_IMAGE, 0, 0, 0 }, out) ||
            values_has_param(w, out->root, &rest))
                return false;
        return values_substitute(w, v, values_param(w, which), to, out);
}

/* The object (or what it was loaded from) is argument i: in the callee's terms. */
bool values_to_callee(Values *w, Value v, Value arg, unsigned i, Value *out) {
        Value param = { values_param(w, i), 0, (int64_t) - (uint64_t)arg.off, 0 };

        if (arg.root == ROOT_NONE || arg.root == ROOT_STACK || arg.root == ROOT_CONFLICT)
                return false;
        if (arg.stride) {
                /* a pointer to one element */
                const Node *n = &w->nodes[v.root];

                if (v.root == arg.root && v.stride == arg.stride) {
                        *out = (Value){ param.root, 0, v.off - arg.off, v.outer };
                        return true;
                }
                if (v.root < ROOT_FIRST || n->kind != NODE_LOAD || n->a != arg.root ||
                    n->stride != arg.stride || n->b)
                        return false;
                *out = (Value){
                        node_make(w, &(Node){ .kind = NODE_LOAD, .a = param.root, .off = n->off - arg.off }),
                        v.stride, v.off, 0
                };
                return true;
        }
        if (arg.root == ROOT_IMAGE) {
                /* what hangs on a variable whose address is given away */
                const Node *n = &w->nodes[v.root];
                int64_t near = n->off - arg.off;

                if (v.root < ROOT_FIRST || n->kind != NODE_LOAD || n->a != ROOT_IMAGE || near < 0 ||
                    near > 4096)
                        return false;
        }
        return values_substitute(w, v, arg.root, param, out);
}

bool values_is_own(const Values *w, uint32_t root) {
        const Node *n = &w->nodes[root];

        if (root == ROOT_STACK)
                return true;
        if (root < ROOT_FIRST)
                return false;
        return n->kind == NODE_FRESH || n->kind == NODE_FRESH_GLOBAL;
}

void values_print(const Values *w, uint32_t root, char *out, size_t size) {
        static const char *const ordinal[] = { "first", "second", "third", "fourth", "fifth", "sixth" };
        const Node *n = &w->nodes[root];
        char inner[160];

        if (root == ROOT_NONE) {
                snprintf(out, size, "a pointer that could not be followed");
                return;
        }
        if (root == ROOT_STACK || root == ROOT_IMAGE || root == ROOT_THREAD || root == ROOT_CONFLICT) {
                snprintf(out, size, "%s",
                         root == ROOT_STACK    ? "the stack"
                         : root == ROOT_IMAGE  ? "a variable"
                         : root == ROOT_THREAD ? "thread-local storage"
                                               : "a variable whose place is contradictory");
                return;
        }
        switch (n->kind) {
        case NODE_PARAM:
                if (n->off >= 0 && n->off < (int64_t)ELEMENTSOF(ordinal))
                        snprintf(out, size, "its %s argument", ordinal[n->off]);
                else
                        snprintf(out, size, "its argument %" PRId64, n->off + 1);
                break;
        case NODE_LOAD:
                if (n->a == ROOT_IMAGE) {
                        snprintf(out, size, "the variable at 0x%" PRIx64, (uint64_t)n->off);
                        break;
                }
                values_print(w, n->a, inner, sizeof(inner));
                snprintf(out, size, "the pointer at %+" PRId64 "%s of %s", n->off,
                         n->stride ? " (indexed)" : "", inner);
                break;
        case NODE_RETURN:
                snprintf(out, size, "what %s returned",
                         n->a >= ROOT_FIRST && w->nodes[n->a].kind == NODE_FUNCTION ? w->nodes[n->a].name
                                                                                    : "a call by pointer");
                break;
        case NODE_OUT:
                snprintf(out, size, "what %s left in a local variable",
                         n->a >= ROOT_FIRST && w->nodes[n->a].kind == NODE_FUNCTION ? w->nodes[n->a].name
                                                                                    : "a call by pointer");
                break;
        case NODE_FUNCTION:
                snprintf(out, size, "the function %s", n->name);
                break;
        case NODE_JOIN:
                values_print(w, n->members[0].root, inner, sizeof(inner));
                snprintf(out, size, "%s, or another pointer", inner);
                break;
        case NODE_SUM:
                values_print(w, n->a, inner, sizeof(inner));
                snprintf(out, size, "%s, indexed", inner);
                break;
        case NODE_SYMBOL:
                snprintf(out, size, "the imported variable %s", n->name ? n->name : "");
                break;
        default:
                snprintf(out, size, "memory of its own");
                break;
        }
}
