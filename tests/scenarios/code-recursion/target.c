/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

struct Node {
        struct Node *left, *right;
        long value;
};

static struct Node *root;
static unsigned long visits;

NOINLINE static struct Node *insert(struct Node *n, long v) {
        if (!n) {
                n = calloc(1, sizeof(*n));
                n->value = v;
        } else if (v < n->value) {
                n->left = insert(n->left, v);
        } else if (v > n->value) {
                n->right = insert(n->right, v);
        }
        return n;
}

NOINLINE static long sum(const struct Node *n) {
        if (!n)
                return 0;
        visits++;
        return sum(n->left) + n->value * PICK(1, 2) + sum(n->right);
}

NOINLINE static int odd(unsigned n);

NOINLINE static int even(unsigned n) {
        visits += 0;
        return n == 0 ? 10 : odd(n - 1);
}

NOINLINE static int odd(unsigned n) {
        return n == 0 ? PICK(20, 30) : even(n - 1);
}

void target_start(void) {
        for (long i = 0; i < 100; i++)
                root = insert(root, i * 37 % 101);
        visits = 0;
}

void target_work(void) {
        sum(root);
        odd((unsigned)harness_turns() & 31);
}

void target_check(int version) {
        long want = 0;
        for (long i = 0; i < 100; i++)
                want += i * 37 % 101;
        unsigned long before = visits;
        EXPECT_EQ(sum(root), want * (version >= 2 ? 2 : 1));
        EXPECT_EQ(visits - before, 100);
        EXPECT_EQ(even(6), 10);
        EXPECT_EQ(even(7), version >= 2 ? 30 : 20);
}
