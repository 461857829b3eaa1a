/* Both files are read whole, checked for the shape this program writes, changed in memory and
 * replaced whole: a reader never sees half a change, and an operator can read them. */
#include "records.h"

#include "fwswarm/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_BYTES_MAX (64u << 20)
#define FORMAT            1

static int save(const json_t *root, const char *path)
{
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_PRESERVE_ORDER);

    if (text == NULL)
        return fail_err(E_MEMORY, path, "nothing was changed: free some and try again");
    size_t n = strlen(text);
    text[n] = '\n'; /* in the terminator's place; the length goes along */
    int status = file_put(path, bytes_of(text, n + 1), 0644, true);
    free(text);
    return status;
}

/* Every entry of list has these members. */
struct member_shape {
    const char *name;
    json_type type;
};

static bool shape_ok(const json_t *list, const struct member_shape *shape)
{
    size_t i;
    json_t *entry;

    if (!json_is_array(list))
        return false;
    json_array_foreach(list, i, entry)
    {
        for (const struct member_shape *s = shape; s->name != NULL; s++) {
            const json_t *v = json_object_get(entry, s->name);
            if (v == NULL || json_typeof(v) != s->type)
                return false;
            if (s->type == JSON_INTEGER && json_integer_value(v) < 0)
                return false;
        }
    }
    return true;
}

/* *out stays NULL when the file does not exist. */
static int load(const char *path, const char *list, const struct member_shape *shape, json_t **out)
{
    json_error_t why;
    uint8_t *data;
    size_t n;

    *out = NULL;
    enum err e = file_read(path, RECORDS_BYTES_MAX, &data, &n);
    if (e == E_NOENT)
        return STATUS_OK;
    if (e != E_OK)
        return fail_err(e, path, "restore it from a copy");
    json_t *root = json_loadb((const char *)data, n, JSON_REJECT_DUPLICATES, &why);
    free(data);
    if (root == NULL)
        return fail(STATUS_FILE, "%s: line %d: %s: restore it from a copy", path, why.line,
                    why.text);
    json_int_t format = json_integer_value(json_object_get(root, "format"));
    if (format > FORMAT) {
        json_decref(root);
        return fail_err(E_NEWER, path, "use that version");
    }
    if (format != FORMAT || !shape_ok(json_object_get(root, list), shape)) {
        json_decref(root);
        return fail_err(E_FORMAT, path, "restore it from a copy");
    }
    *out = root;
    return STATUS_OK;
}

static const char *text_of(const json_t *entry, const char *name)
{
    const char *s = json_string_value(json_object_get(entry, name));

    assert(s != NULL);
    return s;
}

/* ---- devices ---- */

static const struct member_shape device_shape[] = {{"index", JSON_INTEGER}, {"role", JSON_STRING},
                                                   {"model", JSON_STRING},  {"serial", JSON_STRING},
                                                   {"key", JSON_STRING},    {NULL, JSON_NULL}};

static json_t *devices_empty(void)
{
    return json_pack("{s:i, s:{}, s:[]}", "format", FORMAT, "next", "devices");
}

int devices_create(const char *dir)
{
    struct path path;

    int status = path_join(&path, dir, "devices.json", NULL);
    if (status != STATUS_OK)
        return status;
    json_t *root = devices_empty();
    assert(root != NULL);
    status = save(root, path.s);
    json_decref(root);
    return status;
}

int devices_open(struct devices *d, const char *dir, bool may_start)
{
    memset(d, 0, sizeof *d);
    int status = path_join(&d->path, dir, "devices.json", NULL);
    if (status != STATUS_OK)
        return status;
    status = load(d->path.s, "devices", device_shape, &d->root);
    if (status != STATUS_OK)
        return status;
    if (d->root == NULL && may_start)
        d->root = devices_empty();
    if (d->root == NULL)
        return fail_err(E_NOENT, d->path.s,
                        "restore it from a copy, for no index may be given twice; a new enrolment "
                        "machine starts it by --index");
    if (json_is_object(json_object_get(d->root, "next")))
        return STATUS_OK;
    devices_close(d);
    return fail_err(E_FORMAT, d->path.s, "restore it from a copy");
}

void devices_close(struct devices *d)
{
    json_decref(d->root);
    d->root = NULL;
}

struct index_row index_row_lease(const struct enrol_lease *lease)
{
    return (struct index_row){hex32(lease->key.b), lease->first, lease->last};
}

struct index_row index_row_verify(void)
{
    return (struct index_row){{"verify"}, VERIFY_INDEX_FIRST, UINT32_MAX - 1};
}

bool devices_next(const struct devices *d, const struct index_row *row, uint32_t *index)
{
    const json_t *next = json_object_get(d->root, "next");
    json_int_t at = json_integer_value(json_object_get(next, row->name.s));
    json_int_t first = (json_int_t)row->first;

    if (at < first)
        at = first;
    if (at > (json_int_t)row->last)
        return false;
    *index = (uint32_t)at;
    return true;
}

int devices_add(struct devices *d, const struct index_row *row, const struct device_entry *entries,
                uint32_t count)
{
    json_t *list = json_object_get(d->root, "devices");
    json_t *next = json_object_get(d->root, "next");

    for (uint32_t i = 0; i < count; i++) {
        const struct device_entry *e = &entries[i];
        json_t *one = json_pack("{s:I, s:s, s:s, s:s, s:s}", "index", (json_int_t)e->index, "role",
                                e->role, "model", e->model, "serial", e->serial, "key", e->key);
        if (one == NULL)
            return fail(STATUS_USAGE, "--serial %s: not UTF-8 text: write it otherwise", e->serial);
        int bad = json_array_append_new(list, one);
        bad |= json_object_set_new(next, row->name.s, json_integer((json_int_t)e->index + 1));
        assert(bad == 0);
    }
    return save(d->root, d->path.s);
}

uint32_t devices_count(const struct devices *d)
{
    return (uint32_t)json_array_size(json_object_get(d->root, "devices"));
}

struct device_entry devices_at(const struct devices *d, uint32_t i)
{
    const json_t *e = json_array_get(json_object_get(d->root, "devices"), i);

    return (struct device_entry){
        .index = (uint32_t)json_integer_value(json_object_get(e, "index")),
        .role = text_of(e, "role"),
        .model = text_of(e, "model"),
        .serial = text_of(e, "serial"),
        .key = text_of(e, "key"),
    };
}

/* ---- releases ---- */

static const struct member_shape release_shape[] = {
    {"model", JSON_STRING},         {"version", JSON_STRING},
    {"digest", JSON_STRING},        {"manifest", JSON_STRING},
    {"root_version", JSON_INTEGER}, {"sequence", JSON_INTEGER},
    {"signers", JSON_ARRAY},        {NULL, JSON_NULL}};

int releases_open(struct releases *r, const char *dir)
{
    memset(r, 0, sizeof *r);
    int status = path_join(&r->path, dir, "releases.json", NULL);
    if (status != STATUS_OK)
        return status;
    status = load(r->path.s, "releases", release_shape, &r->root);
    if (status == STATUS_OK && r->root == NULL)
        r->root = json_pack("{s:i, s:[]}", "format", FORMAT, "releases");
    return status;
}

void releases_close(struct releases *r)
{
    json_decref(r->root);
    r->root = NULL;
}

uint32_t releases_count(const struct releases *r)
{
    return (uint32_t)json_array_size(json_object_get(r->root, "releases"));
}

struct release_entry releases_at(const struct releases *r, uint32_t i)
{
    const json_t *e = json_array_get(json_object_get(r->root, "releases"), i);
    const json_t *signers = json_object_get(e, "signers");
    struct release_entry out = {
        .model = text_of(e, "model"),
        .version = text_of(e, "version"),
        .digest = text_of(e, "digest"),
        .manifest = text_of(e, "manifest"),
        .root_version = (uint32_t)json_integer_value(json_object_get(e, "root_version")),
        .sequence = (uint64_t)json_integer_value(json_object_get(e, "sequence")),
        .withdrawn = json_is_true(json_object_get(e, "withdrawn")),
    };

    for (size_t s = 0; s < json_array_size(signers) && out.signers_count < SIGNERS_MAX; s++) {
        const char *hex = json_string_value(json_array_get(signers, s));
        if (hex != NULL && hex_decode(out.signers[out.signers_count].b, 32, hex))
            out.signers_count++;
    }
    return out;
}

bool releases_last(const struct releases *r, const char *model, struct release_entry *out)
{
    bool found = false;

    for (uint32_t i = 0; i < releases_count(r); i++) {
        struct release_entry e = releases_at(r, i);
        if (strcmp(e.model, model) != 0)
            continue;
        if (found &&
            release_compare(e.root_version, e.sequence, out->root_version, out->sequence) < 0)
            continue;
        *out = e;
        found = true;
    }
    return found;
}

bool releases_find(const struct releases *r, const char *model, uint32_t root_version,
                   uint64_t sequence, struct release_entry *out)
{
    for (uint32_t i = 0; i < releases_count(r); i++) {
        *out = releases_at(r, i);
        if (strcmp(out->model, model) == 0 && out->root_version == root_version &&
            out->sequence == sequence)
            return true;
    }
    return false;
}

int releases_add(struct releases *r, const struct manifest *m)
{
    json_t *list = json_object_get(r->root, "releases");
    json_t *signers = json_array();
    int bad = 0;

    for (uint32_t i = 0; i < releases_count(r); i++) {
        struct release_entry e = releases_at(r, i);
        if (strcmp(e.model, m->model) == 0 && e.root_version == m->root_version &&
            e.sequence == m->sequence) {
            json_array_remove(list, i);
            break;
        }
    }
    for (uint32_t i = 0; i < m->signers_count; i++)
        bad |= json_array_append_new(signers, json_string(hex32(m->signers[i].b).s));
    bad |= json_array_append_new(
        list, json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:o}", "model", m->model, "version",
                        m->version, "root_version", (json_int_t)m->root_version, "sequence",
                        (json_int_t)m->sequence, "size", (json_int_t)m->size, "digest",
                        hex32(m->digest.b).s, "manifest", hex32(m->id.b).s, "signers", signers));
    assert(bad == 0);
    return save(r->root, r->path.s);
}

int releases_withdraw(struct releases *r, const struct digest *manifest)
{
    json_t *list = json_object_get(r->root, "releases");
    struct hex id = hex32(manifest->b);
    size_t i;
    json_t *e;

    json_array_foreach(list, i, e)
    {
        if (strcmp(text_of(e, "manifest"), id.s) != 0)
            continue;
        json_object_set_new(e, "withdrawn", json_true());
        return save(r->root, r->path.s);
    }
    return STATUS_OK;
}
