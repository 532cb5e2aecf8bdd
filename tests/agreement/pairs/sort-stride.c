/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct score {
        int who, points;
#ifdef NEW
        int bonus;
#endif
};
static struct score *scores;
static size_t n_scores;

static int by_points(const void *a, const void *b) {
        const struct score *x = a, *y = b;

        return y->points PICK(, +y->bonus) - x->points PICK(, -x->bonus);
}

static NOINLINE void score_add(int who, int points) {
        scores = realloc(scores, (n_scores + 1) * sizeof(*scores));
        scores[n_scores].who = who;
#ifdef NEW
        scores[n_scores].bonus = 0;
#endif
        scores[n_scores++].points = points;
}

static NOINLINE int best(void) {
        qsort(scores, n_scores, sizeof(*scores), by_points);
        return scores[0].who;
}

int main(void) {
        for (int i = 0; i < 200; i++) {
                score_add(i, (int)next_input());
                log_line("best", best());
        }
        return 0;
}
