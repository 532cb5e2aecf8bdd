/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <new>

struct Node {
        virtual long value() { return 1; }
#ifdef NEW
        virtual long weight() { return 2; }
#endif
        Node *next;
};
struct Leaf : Node {
        long n;
        explicit Leaf(long v) : n(v) {}
        long value() override { return n; }
#ifdef NEW
        long weight() override { return n / 2; }
#endif
};
static Node *nodes;

static NOINLINE void add(long n) {
        Node *x = n & 1 ? new (malloc(sizeof(Leaf))) Leaf(n) : new (malloc(sizeof(Node))) Node;

        x->next = nodes;
        nodes = x;
}

static NOINLINE long sum() {
        long n = 0;

        for (Node *x = nodes; x; x = x->next)
                n += x->value() PICK(, *x->weight());
        return n;
}

int main() {
        for (int i = 0; i < 100; i++) {
                add(next_input());
                log_line("sum", sum());
        }
}
