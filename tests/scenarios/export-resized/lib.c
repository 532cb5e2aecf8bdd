/* SPDX-License-Identifier: Apache-2.0 */
#if VERSION >= 2
int subject_table[6] = { 1, 2, 3, 4, 5, 6 };
#else
int subject_table[4] = { 1, 2, 3, 4 };
#endif
static int n;
int subject_sum(void) {
        int s = 0;
        n++;
        for (unsigned i = 0; i < sizeof(subject_table) / sizeof(int); i++)
                s += subject_table[i];
        return s;
}
int subject_n(void) { return n; }
