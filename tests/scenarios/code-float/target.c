/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <math.h>

static double samples[32];
static float weights[32];
static double mean;

NOINLINE static double smooth(double x) {
        return x * 0.75 + 0.25 * mean - PICK(1.5, 2.5);
}

NOINLINE static double other(double x) {
        return x * 0.75 + 1.5;
}

NOINLINE static float dot(const float *restrict a, const float *restrict b) {
        float s = 0;
        for (int i = 0; i < 32; i++)
                s += a[i] * b[i] * PICK(2.0f, 3.0f) + 0.5f;
        return s;
}

NOINLINE static void mask(double *restrict v) {
        for (int i = 0; i < 32; i++)
                v[i] = -v[i] + PICK(3.0, 4.0);
}

NOINLINE static void fill(void) {
        for (int i = 0; i < 32; i++) {
                samples[i] = i;
                weights[i] = 1;
        }
        mean = 8;
}

NOINLINE static double sample(int i) {
        return samples[i] + mean * 0;
}

void target_work(void) {
        fill();
        mask(samples);
        mean = smooth(sample(4));
}

void target_check(int version) {
        bool n = version >= 2;
        fill();
        EXPECT(smooth(4) == (n ? 2.5 : 3.5));
        EXPECT(other(4) == 4.5);
        EXPECT(dot(weights, weights) == (n ? 112.0f : 80.0f));
        mask(samples);
        EXPECT(sample(0) == (n ? 4 : 3));
        EXPECT(sample(31) == (n ? -27 : -28));
}
