/* SPDX-License-Identifier: Apache-2.0 */
static __thread long mine;
__thread long subject_visible = 3;
static __thread char text[16];
__attribute__((noinline)) static void mine_add(long v) { mine += v; }
long subject_mine(void) { return mine; }
char *subject_text(void) { return text; }
__attribute__((noinline)) long subject_step(long v) {
        mine_add(v);
        subject_visible++;
        text[0] = 'a';
        return mine * (VERSION >= 2 ? 10 : 1) + subject_visible * 0;
}
long subject_visible_get(void) { return subject_visible; }
