/* Reading is strict from the first byte on; the caller decides how far the content is believed. */
#include "suitfile.h"

#include "progress.h"

#include "fwswarm/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define STOP_FIRST_BYTE 0x82 /* CBOR array of two; an envelope begins with its tag */

bool file_is_stop(const char *path)
{
    uint8_t *data;
    size_t n;

    if (file_read(path, MANIFEST_MAX, &data, &n) != E_OK)
        return false;
    bool stop = n > 0 && data[0] == STOP_FIRST_BYTE;
    free(data);
    return stop;
}

int suit_read(struct suit *s, const char *path)
{
    uint8_t *data;
    size_t n;

    enum err e = file_read(path, sizeof s->data, &data, &n);
    if (e != E_OK)
        return fail_err(e, path, "name a file that `release sign` wrote");
    memcpy(s->data, data, n);
    s->len = n;
    free(data);
    e = manifest_read(&s->m, bytes_of(s->data, n), &s->manifest, s->sigs);
    if (e != E_OK)
        return fail_err(e, path, "is no whole release: take it again from where it was signed");
    return STATUS_OK;
}

enum err suit_self_check(const struct suit *s)
{
    /* A root that lists exactly these signers and asks for all of them. */
    struct trust t;
    struct manifest m;

    if (s->m.signers_count == 0 || s->m.signers_count > ROOT_KEYS_MAX)
        return E_LIMIT;
    memset(&t, 0, sizeof t);
    t.root.fleet = s->m.fleet;
    t.root.version = s->m.root_version;
    t.root.release.count = t.root.release.threshold = s->m.signers_count;
    memcpy(t.root.release.key, s->m.signers, s->m.signers_count * sizeof s->m.signers[0]);
    return manifest_open(&m, bytes_of(s->data, s->len), &t);
}

int image_hash(const char *path, struct image_facts *out)
{
    char what[PATH_MAX + 16];
    struct progress progress;
    struct stat st;
    uint64_t total = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;

    snprintf(what, sizeof what, "hashing %s", path);
    progress_begin(&progress, what, total);
    enum err e = file_tree(path, &out->geo, &out->root, &out->digest, progress_at, &progress);
    progress_end(&progress, e == E_OK ? out->geo.size : 0);
    if (e == E_RANGE)
        return fail(STATUS_FILE, "%s: %llu bytes: an image has 1 byte to 64 TiB: name another",
                    path, (unsigned long long)total);
    if (e == E_FORMAT)
        return fail(STATUS_FILE, "%s: no regular file: name the firmware image", path);
    if (e != E_OK)
        return fail(STATUS_FILE, "%s: image cannot be read: %s: name a readable file", path,
                    err_text(e));
    return STATUS_OK;
}

void say_signers(const struct key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        say("signer        %s", hex32(keys[i].b).s);
}
