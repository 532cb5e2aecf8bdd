/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

static struct slot {
        int id, uses;
#ifdef NEW
        int owner;
#endif
} slots[32];

static NOINLINE struct slot *take(int id) {
        for (int i = 0; i < 32; i++) {
                if (slots[i].uses == 0 || slots[i].id == id) {
                        slots[i].id = id;
                        slots[i].uses++;
#ifdef NEW
                        slots[i].owner = id + 1;
#endif
                        return &slots[i];
                }
        }
        return NULL;
}

static NOINLINE int total(void) {
        int n = 0;

        for (int i = 0; i < 32; i++)
                n += slots[i].uses;
        return n;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                take((int)next_input() % 40);
                log_line("total", total());
        }
        return 0;
}
