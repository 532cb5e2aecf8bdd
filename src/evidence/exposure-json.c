/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/exposure-json.h"
#include "patch/json.h"

static json_t *text_or_null(const char *s) {
        return s && *s ? json_text(s) : json_null();
}

static json_t *image_json(const CveImage *c) {
        const RunningImage *image = c->image;
        json_t *j = json_object();

        json_object_set_new(j, "pid", json_integer(image->process->pid));
        json_object_set_new(j, "comm", json_text(image->process->comm));
        json_object_set_new(j, "unit", json_text(image->process->unit));
        json_object_set_new(j, "path", json_text(image->path));
        json_object_set_new(j, "state", json_text(cve_state_text(c->state)));
        json_object_set_new(j, "why", json_text(c->why));
        json_object_set_new(j, "build_id", json_build_id(&image->run->id));
        json_object_set_new(j, "version", text_or_null(image->run->version));
        json_object_set_new(j, "version_from", json_text(build_witness_text(image->run->witness)));
        json_object_set_new(j, "runs_version",
                            text_or_null(image->effective ? image->effective->version : NULL));
        json_object_set_new(j, "patch", image->patched ? json_digest(image->patch.digest) : json_null());
        json_object_set_new(j, "damaged", json_boolean(image->damaged));
        json_object_set_new(j, "code_sha256",
                            image->has_code ? json_digest(image->code_sha256) : json_null());
        return j;
}

static json_t *package_json(const CvePackage *p) {
        json_t *j = json_object(), *images = json_array();

        for (size_t i = 0; i < p->n; i++)
                json_array_append_new(images, image_json(&p->images[i]));
        json_object_set_new(j, "package", json_text(p->name));
        json_object_set_new(j, "arch", json_text(p->arch));
        json_object_set_new(j, "source", json_text(p->source));
        json_object_set_new(j, "installed", text_or_null(p->package ? p->package->version : NULL));
        json_object_set_new(j, "fixed", text_or_null(p->fixed));
        json_object_set_new(j, "evidence", json_text(cve_source_text(p->by)));
        json_object_set_new(j, "fix_on_disk", json_boolean(p->on_disk));
        json_object_set_new(j, "fix_available", json_boolean(p->available));
        json_object_set_new(j, "state", json_text(cve_state_text(p->state)));
        json_object_set_new(j, "images", images);
        return j;
}

static json_t *cve_json(const Cve *c) {
        json_t *packages = json_array();

        for (size_t i = 0; i < c->n; i++)
                json_array_append_new(packages, package_json(&c->packages[i]));
        return json_pack("{s:o, s:s, s:o}", "cve", json_text(c->name), "state", cve_state_text(c->state),
                         "packages", packages);
}

json_t *exposure_json(const Exposure *x) {
        json_t *j = json_object(), *cves = json_array(), *counts = json_object();
        size_t n[CVE_STATE_N];

        for (size_t i = 0; i < x->n; i++)
                json_array_append_new(cves, cve_json(&x->cves[i]));
        exposure_count(x, n);
        for (size_t i = 0; i < CVE_STATE_N; i++)
                json_object_set_new(counts, cve_state_text((CveState)i), json_integer((json_int_t)n[i]));
        json_object_set_new(j, "cves", cves);
        json_object_set_new(j, "counts", counts);
        json_object_set_new(j, "tracker", text_or_null(x->tracker_path));
        json_object_set_new(j, "unknown_images", json_integer((json_int_t)x->unknown));
        json_object_set_new(j, "images_elsewhere", json_integer((json_int_t)x->running.elsewhere));
        json_object_set_new(j, "packages_without_changelog", json_integer((json_int_t)x->no_changelog));
        json_object_set_new(j, "processes", json_integer((json_int_t)x->running.looked_at));
        return j;
}
