/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct pair {
        int key;
        PICK(int, long) value;
};
static struct pair *pairs;
static size_t n, room;

static NOINLINE void append(int key, int value) {
        if (n == room) {
                room = room ? room * 2 : 4;
                pairs = realloc(pairs, room * sizeof(*pairs));
        }
        pairs[n].key = key;
        pairs[n++].value = value;
}

static NOINLINE long find(int key) {
        for (size_t i = 0; i < n; i++)
                if (pairs[i].key == key)
                        return pairs[i].value;
        return -1;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                append((int)next_input(), i);
                log_line("find", find((int)next_input()));
        }
        return 0;
}
