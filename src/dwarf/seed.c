/* SPDX-License-Identifier: Apache-2.0 */
/* A little of every kind of type and variable: compiled to the seeds of fuzz-dwarf. */
typedef enum { FIRST, SECOND = 7, LAST = -1 } Choice;
enum { LIMIT = 100, OTHER };
struct leaf {
        unsigned a : 3, b : 5;
        const char *name;
        union {
                int number;
                float real;
        };
};
typedef struct node {
        struct node *next, **link;
        struct leaf leaf[2][3];
        Choice choice;
        int (*call)(struct node *, const volatile long *, ...);
        _Bool flag;
        long double wide;
        char tail[];
} Node;
static struct {
        Node *head;
        int n;
} table = { 0, LIMIT };
__thread long per_thread = OTHER;
extern Node *all[4];
Node *all[4];
int use(Node *n, int size);
int use(Node *n, int size) {
        static short calls;
        struct local {
                int x;
        } l = { size };
        static struct local kept;
        int buffer[size > 0 ? size : 1];

        buffer[0] = calls++;
        kept = l;
        per_thread++;
        return n->call(n, 0, buffer[0]) + table.n + kept.x;
}
