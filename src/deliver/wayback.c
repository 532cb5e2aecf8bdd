/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/wayback.h"
#include "base/macro.h"

/* Matters of how a patch is carried and put in: a revert carries nothing. The old code lies where it always
 * did, with its imports bound and its unwind tables registered, and it is the old image's symbols that others
 * see. */
static bool is_of_carrying(RefusalCode code) {
        return code == REFUSAL_CODE_FUNCTION_SMALL || code == REFUSAL_CODE_ENTRY_BRANCH ||
               code == REFUSAL_CODE_UNWIND_NEEDED || code == REFUSAL_CODE_IMPORT_NEW ||
               code == REFUSAL_CODE_EXPORT_REMOVED;
}

static void tell(const Diff *d, const bool *accepted, Verdict *v) {
        for (size_t i = 0; i < d->verdict.n; i++) {
                const Finding *f = &d->verdict.findings[i];
                const Refusal *r = refusal_get(f->code);

                if (r->kind != REFUSAL_ADVICE && !(accepted && accepted[f->code]) && !is_of_carrying(f->code))
                        verdict_add(v, REFUSAL_CODE_REVERT_UNPROVED, f->subject, "%s%s%s", r->code,
                                    *f->detail ? ": " : "", f->detail);
        }
        /* A patch that adds a variable begins with its initial value. Old code that is put back finds what it
         * left there itself, which new code has not kept up to date. */
        if (d->adds_variable)
                verdict_add(v, REFUSAL_CODE_REVERT_UNPROVED, d->adds_variable,
                            "uses a variable that the new code does not have: nobody has kept it up to date");
}

void wayback_judge(Diff *there, const CompareOptions *o, Verdict *v) {
        _cleanup_(diff_freep) Diff *back = NULL;
        _cleanup_(patch_freep) Patch *made = NULL;
        Error e = { 0 };
        int r = diff_turn(there, &o->diff, &back, &e);

        if (r == 0)
                r = emit_patch(back, o->accepted, &made, &e);
        if (r < 0)
                verdict_add(v, REFUSAL_CODE_REVERT_UNPROVED, "the way back", "it could not be judged: %s",
                            e.text);
        else
                tell(back, o->accepted, v);
}
