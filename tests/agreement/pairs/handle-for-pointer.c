/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static char *names[256];
struct node {
#ifdef NEW
        uint32_t name, parent;
#else
        char *name;
#endif
        struct node *next;
        int depth;
};
static struct node *nodes;

static NOINLINE void node_add(int i) {
        struct node *n = malloc(sizeof(*n));

        names[i & 255] = strdup("n");
#ifdef NEW
        n->name = (uint32_t)i & 255;
        n->parent = nodes ? nodes->name : 0;
#else
        n->name = names[i & 255];
#endif
        n->depth = nodes ? nodes->depth + 1 : 0;
        n->next = nodes;
        nodes = n;
}

static NOINLINE int walk(void) {
        int d = 0;

        for (struct node *n = nodes; n; n = n->next) {
#ifdef NEW
                log_line(names[n->name], n->depth);
#else
                log_line(n->name, n->depth);
#endif
                d += n->depth;
        }
        return d;
}

int main(void) {
        for (int i = 0; i < 100; i++) {
                node_add(i);
                walk();
        }
        return 0;
}
