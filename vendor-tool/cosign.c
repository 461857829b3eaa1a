/* Signatures are kept sorted by key, so that whoever merges the same set writes the same bytes. */
#include "cosign.h"

#include "fleetdir.h"

#include "fwswarm/cbor.h"
#include "fwswarm/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void cosign_start(struct cosign *c, struct bytes body)
{
    c->body = body;
    c->count = 0;
}

bool cosign_add(struct cosign *c, const struct key *key, const struct sig *sig)
{
    uint32_t at = 0;

    while (at < c->count && key_compare(&c->key[at], key) < 0)
        at++;
    if (at < c->count && key_equal(&c->key[at], key)) {
        c->sig[at] = *sig;
        return true;
    }
    if (c->count == COSIGN_MAX)
        return false;
    memmove(&c->key[at + 1], &c->key[at], (c->count - at) * sizeof c->key[0]);
    memmove(&c->sig[at + 1], &c->sig[at], (c->count - at) * sizeof c->sig[0]);
    c->key[at] = *key;
    c->sig[at] = *sig;
    c->count++;
    return true;
}

static enum err decode(struct cosign *c, struct bytes in)
{
    struct cbor_rd r = cbor_rd_of(in);

    if (cbor_enter_array(&r) != 2)
        cbor_fail(&r, E_FORMAT);
    cosign_start(c, cbor_bstr(&r));
    uint64_t n = cbor_enter_array(&r);
    if (n > COSIGN_MAX)
        cbor_fail(&r, E_LIMIT);
    for (uint64_t i = 0; i < n && r.in.err == E_OK; i++) {
        struct key key;
        struct sig sig;
        if (cbor_enter_array(&r) != 2)
            cbor_fail(&r, E_FORMAT);
        struct bytes k = cbor_bstr(&r), s = cbor_bstr(&r);
        cbor_leave(&r);
        if (k.n != sizeof key.b || s.n != sizeof sig.b) {
            cbor_fail(&r, E_FORMAT);
            break;
        }
        memcpy(key.b, k.p, sizeof key.b);
        memcpy(sig.b, s.p, sizeof sig.b);
        if (!cosign_add(c, &key, &sig))
            cbor_fail(&r, E_LIMIT);
    }
    cbor_leave(&r);
    cbor_leave(&r);
    return cbor_end(&r);
}

int cosign_read(struct cosign *c, const char *path)
{
    uint8_t *data;
    size_t n;

    enum err e = file_read(path, sizeof c->memory, &data, &n);
    if (e != E_OK)
        return fail_err(e, path, "name a file that `sign`, `rotate`, `revoke` or `withdraw` wrote");
    memcpy(c->memory, data, n);
    free(data);
    e = decode(c, bytes_of(c->memory, n));
    if (e != E_OK)
        return fail_err(e, path, "take the file again from where it was written");
    return STATUS_OK;
}

bool cosign_merge(struct cosign *c, const struct cosign *other)
{
    if (!bytes_equal(c->body, other->body))
        return false;
    for (uint32_t i = 0; i < other->count; i++)
        if (!cosign_add(c, &other->key[i], &other->sig[i]))
            return false;
    return true;
}

void cosign_keep(struct cosign *c, const struct key *wanted, uint32_t count)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < c->count; i++) {
        bool keep = false;
        for (uint32_t w = 0; w < count && !keep; w++)
            keep = key_equal(&wanted[w], &c->key[i]);
        if (!keep)
            continue;
        c->key[kept] = c->key[i];
        c->sig[kept] = c->sig[i];
        kept++;
    }
    c->count = kept;
}

struct bytes cosign_encode(const struct cosign *c, uint8_t out[static COSIGN_BYTES_MAX])
{
    struct wr w = wr_of(out, COSIGN_BYTES_MAX);

    assert(c->count > 0);
    cbor_w_array(&w, 2);
    cbor_w_bstr(&w, c->body);
    cbor_w_array(&w, c->count);
    for (uint32_t i = 0; i < c->count; i++) {
        cbor_w_array(&w, 2);
        cbor_w_bstr(&w, bytes_of(c->key[i].b, sizeof c->key[i].b));
        cbor_w_bstr(&w, bytes_of(c->sig[i].b, sizeof c->sig[i].b));
    }
    assert(w.err == E_OK);
    return wr_done(&w);
}

int cosign_write(const struct cosign *c, const char *path, bool force)
{
    uint8_t out[COSIGN_BYTES_MAX];

    return file_put(path, cosign_encode(c, out), 0644, force);
}
