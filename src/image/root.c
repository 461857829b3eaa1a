/* The fleet root and its chain.
 *
 * A root is judged by the root before it and by itself: a thief of one version's keys cannot cut
 * the vendor off without also holding the keys of the version he replaces.  Roots do not expire,
 * because devices have no clock; they only rise.
 *
 * Body keys from ROOT_KEY_OPTIONAL on may be skipped by a program that does not know them, so that
 * a mixed fleet can learn a root made for newer devices; an unknown key below is refused. */
#include "fwswarm/trust.h"

#include <assert.h>
#include <string.h>

#include "field.h"
#include "signed.h"

#define ROOT_FORMAT       1u
#define ROOT_PAIRS        9u
#define ROOT_KEY_OPTIONAL 32u
#define ROOT_DOMAIN       "fwswarm-root"

const char *role_name(enum role r)
{
    switch (r) {
    case ROLE_NORMAL:
        return "normal";
    case ROLE_VERIFY:
        return "verify";
    case ROLE_GATEWAY:
        return "gateway";
    case ROLE_PUBLISHER:
        return "publisher";
    }
    return "unknown";
}

void model_id(struct digest *out, const struct digest *fleet, const char *model)
{
    hash_domain(out, "fwswarm-model", bytes_of(fleet->b, sizeof(fleet->b)), bytes_str(model));
}

bool key_set_has(const struct key_set *s, const struct key *k)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (key_equal(&s->key[i], k))
            return true;
    }
    return false;
}

/* ---- what makes a root sensible, in both directions ---- */

static enum err key_set_check(const struct key_set *s)
{
    if (s->count == 0 || s->count > ROOT_KEYS_MAX)
        return E_RANGE;
    if (s->threshold == 0 || s->threshold > s->count)
        return E_RANGE;
    return E_OK;
}

static enum err key_set_distinct(const struct key_set *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (key_equal(&s->key[i], &s->key[k]))
                return E_DUPLICATE;
        }
    }
    return E_OK;
}

/* Leases must not overlap: an index names one device, for ever. */
static enum err enrol_check(const struct root *r)
{
    uint32_t active = 0;
    if (r->enrol_count > ROOT_KEYS_MAX)
        return E_RANGE;
    for (uint32_t i = 0; i < r->enrol_count; i++) {
        const struct enrol_lease *a = &r->enrol[i];
        /* The highest index stands for `none`, and a lease may be used up to nothing. */
        if (a->last == UINT32_MAX)
            return E_RANGE;
        active += a->retired ? 0 : 1;
        for (uint32_t k = 0; k < i; k++) {
            const struct enrol_lease *b = &r->enrol[k];
            if (key_equal(&a->key, &b->key))
                return E_DUPLICATE;
            if (a->first <= a->last && b->first <= b->last && a->first <= b->last &&
                b->first <= a->last)
                return E_RANGE;
        }
    }
    /* Without active enrolment keys only the root's threshold can revoke. */
    if (r->enrol_threshold > active || (r->enrol_threshold == 0 && active > 0))
        return E_RANGE;
    return E_OK;
}

static enum err verify_check(const struct root *r)
{
    if (r->verify_count > ROOT_VERIFY_MAX)
        return E_RANGE;
    for (uint32_t i = 0; i < r->verify_count; i++) {
        if (r->verify[i].index == UINT32_MAX)
            return E_RANGE;
        for (uint32_t k = 0; k < i; k++) {
            if (key_equal(&r->verify[i].key, &r->verify[k].key) ||
                r->verify[i].index == r->verify[k].index)
                return E_DUPLICATE;
        }
    }
    return E_OK;
}

static enum err root_check(const struct root *r)
{
    if (r->version == 0 || r->publisher.count > ROOT_KEYS_MAX)
        return E_RANGE;
    enum err e = key_set_check(&r->root);
    if (e == E_OK)
        e = key_set_check(&r->release);
    if (e == E_OK)
        e = key_set_distinct(&r->root);
    if (e == E_OK)
        e = key_set_distinct(&r->release);
    if (e == E_OK)
        e = key_set_distinct(&r->publisher);
    if (e == E_OK)
        e = enrol_check(r);
    if (e == E_OK)
        e = verify_check(r);
    return e;
}

/* ---- encoding ---- */

static void write_key(struct wr *w, const struct key *k)
{
    cbor_w_bstr(w, bytes_of(k->b, sizeof(k->b)));
}

static void write_keys(struct wr *w, const struct key_set *s)
{
    cbor_w_array(w, s->count);
    for (uint32_t i = 0; i < s->count; i++)
        write_key(w, &s->key[i]);
}

static void write_key_set(struct wr *w, const struct key_set *s)
{
    cbor_w_array(w, 2);
    cbor_w_uint(w, s->threshold);
    write_keys(w, s);
}

static void write_enrol(struct wr *w, const struct root *r)
{
    cbor_w_array(w, 2);
    cbor_w_uint(w, r->enrol_threshold);
    cbor_w_array(w, r->enrol_count);
    for (uint32_t i = 0; i < r->enrol_count; i++) {
        cbor_w_array(w, 4);
        write_key(w, &r->enrol[i].key);
        cbor_w_uint(w, r->enrol[i].first);
        cbor_w_uint(w, r->enrol[i].last);
        cbor_w_bool(w, r->enrol[i].retired);
    }
}

enum err root_encode_body(const struct root *r, struct wr *w)
{
    enum err e = root_check(r);
    if (e != E_OK)
        return e;
    cbor_w_map(w, ROOT_PAIRS);
    cbor_w_uint(w, 1);
    cbor_w_uint(w, ROOT_FORMAT);
    cbor_w_uint(w, 2);
    cbor_w_bstr(w, bytes_of(r->fleet.b, sizeof(r->fleet.b)));
    cbor_w_uint(w, 3);
    cbor_w_uint(w, r->version);
    cbor_w_uint(w, 4);
    write_key_set(w, &r->root);
    cbor_w_uint(w, 5);
    write_key_set(w, &r->release);
    cbor_w_uint(w, 6);
    write_keys(w, &r->publisher);
    cbor_w_uint(w, 7);
    write_enrol(w, r);
    cbor_w_uint(w, 8);
    cbor_w_array(w, r->verify_count);
    for (uint32_t i = 0; i < r->verify_count; i++) {
        cbor_w_array(w, 2);
        write_key(w, &r->verify[i].key);
        cbor_w_uint(w, r->verify[i].index);
    }
    cbor_w_uint(w, 9);
    write_key(w, &r->audit);
    return w->err;
}

enum err root_encode(struct bytes body, const struct key *keys, const struct sig *sigs,
                     uint32_t count, struct wr *w)
{
    return signed_write(body, keys, sigs, count, SIGNED_MAX, w);
}

/* ---- decoding ---- */

static void read_keys(struct cbor_rd *r, struct key_set *s, uint32_t min)
{
    s->count = field_array_upto(r, min, ROOT_KEYS_MAX);
    for (uint32_t i = 0; i < s->count; i++)
        field_fixed(r, s->key[i].b, sizeof(s->key[i].b));
    cbor_leave(r);
}

static void read_key_set(struct cbor_rd *r, struct key_set *s)
{
    field_array(r, 2);
    s->threshold = field_u32(r);
    read_keys(r, s, 1);
    cbor_leave(r);
}

static void read_enrol(struct cbor_rd *r, struct root *out)
{
    field_array(r, 2);
    out->enrol_threshold = field_u32(r);
    out->enrol_count = field_array_upto(r, 0, ROOT_KEYS_MAX);
    for (uint32_t i = 0; i < out->enrol_count; i++) {
        field_array(r, 4);
        field_fixed(r, out->enrol[i].key.b, sizeof(out->enrol[i].key.b));
        out->enrol[i].first = field_u32(r);
        out->enrol[i].last = field_u32(r);
        out->enrol[i].retired = cbor_bool(r);
        cbor_leave(r);
    }
    cbor_leave(r);
    cbor_leave(r);
}

static void read_verify(struct cbor_rd *r, struct root *out)
{
    out->verify_count = field_array_upto(r, 0, ROOT_VERIFY_MAX);
    for (uint32_t i = 0; i < out->verify_count; i++) {
        field_array(r, 2);
        field_fixed(r, out->verify[i].key.b, sizeof(out->verify[i].key.b));
        out->verify[i].index = field_u32(r);
        cbor_leave(r);
    }
    cbor_leave(r);
}

/* Keys that this program does not know: skipped in the optional range, else refused. */
static void read_optional(struct cbor_rd *r, uint64_t pairs)
{
    for (uint64_t i = 0; i < pairs && field_ok(r); i++) {
        if (cbor_peek(r) != CBOR_UINT || cbor_uint(r) < ROOT_KEY_OPTIONAL) {
            cbor_fail(r, E_UNKNOWN);
            return;
        }
        (void)cbor_skip(r);
    }
}

static enum err root_decode_body(struct root *out, struct bytes body)
{
    struct cbor_rd r = cbor_rd_of(body);
    memset(out, 0, sizeof(*out));
    uint64_t pairs = cbor_enter_map(&r);
    if (field_ok(&r) && pairs < ROOT_PAIRS)
        cbor_fail(&r, E_FORMAT);
    field_key(&r, 1, ROOT_PAIRS);
    field_format(&r, ROOT_FORMAT);
    field_key(&r, 2, ROOT_PAIRS);
    field_fixed(&r, out->fleet.b, sizeof(out->fleet.b));
    field_key(&r, 3, ROOT_PAIRS);
    out->version = field_u32(&r);
    field_key(&r, 4, ROOT_PAIRS);
    read_key_set(&r, &out->root);
    field_key(&r, 5, ROOT_PAIRS);
    read_key_set(&r, &out->release);
    field_key(&r, 6, ROOT_PAIRS);
    read_keys(&r, &out->publisher, 0);
    out->publisher.threshold = out->publisher.count > 0 ? 1 : 0;
    field_key(&r, 7, ROOT_PAIRS);
    read_enrol(&r, out);
    field_key(&r, 8, ROOT_PAIRS);
    read_verify(&r, out);
    field_key(&r, 9, ROOT_PAIRS);
    field_fixed(&r, out->audit.b, sizeof(out->audit.b));
    if (field_ok(&r))
        read_optional(&r, pairs - ROOT_PAIRS);
    cbor_leave(&r);
    enum err e = cbor_end(&r);
    return e != E_OK ? e : root_check(out);
}

static enum err root_read(struct root *out, struct signed_object *o, struct bytes signed_root)
{
    if (signed_root.n > ROOT_BYTES_MAX)
        return E_OVERSIZED;
    enum err e = signed_read(o, signed_root, SIGNED_MAX);
    return e != E_OK ? e : root_decode_body(out, o->body);
}

enum err root_decode(struct root *r, struct bytes *body, struct bytes signed_root)
{
    struct signed_object o;
    enum err e = root_read(r, &o, signed_root);
    *body = e == E_OK ? o.body : bytes_of(NULL, 0);
    return e;
}

void root_sign(struct sig *out, const struct signer *s, struct bytes body)
{
    struct root r;
    enum err e = root_decode_body(&r, body);
    assert(e == E_OK);
    signed_sign(out, s, ROOT_DOMAIN, &r.fleet, body);
}

/* ---- trust ---- */

enum err trust_init(struct trust *t, struct bytes signed_root)
{
    struct signed_object o;
    struct root r;
    enum err e = root_read(&r, &o, signed_root);
    if (e != E_OK)
        return e;
    for (uint32_t i = 0; i < o.count; i++) {
        /* Version N > 1 also carries signatures of keys that only N-1 lists.  They say nothing to
         * who starts here, so they are neither verified nor counted. */
        if (r.version == 1 && !key_set_has(&r.root, &o.key[i]))
            return E_UNLISTED;
    }
    struct signed_object own = {.body = o.body};
    for (uint32_t i = 0; i < o.count; i++) {
        if (!key_set_has(&r.root, &o.key[i]))
            continue;
        own.key[own.count] = o.key[i];
        own.sig[own.count++] = o.sig[i];
    }
    if (signers_count(own.key, own.count, &r.root) < r.root.threshold)
        return E_THRESHOLD;
    e = signed_verify(&own, ROOT_DOMAIN, &r.fleet);
    if (e != E_OK)
        return e;
    memset(t, 0, sizeof(*t));
    t->root = r;
    return E_OK;
}

void root_enrol_signers(struct key_set *out, const struct root *r)
{
    memset(out, 0, sizeof(*out));
    out->threshold = r->enrol_threshold;
    for (uint32_t i = 0; i < r->enrol_count; i++) {
        if (!r->enrol[i].retired)
            out->key[out->count++] = r->enrol[i].key;
    }
}

/* Remembers who could sign under the root that is being replaced; forgets the oldest. */
static void remember(struct trust *t)
{
    if (t->past_count == ROOT_PAST_MAX) {
        memmove(&t->past[0], &t->past[1], (ROOT_PAST_MAX - 1) * sizeof(t->past[0]));
        t->past_count--;
    }
    t->past[t->past_count].version = t->root.version;
    t->past[t->past_count].release = t->root.release;
    t->past[t->past_count].root = t->root.root;
    root_enrol_signers(&t->past[t->past_count].enrol, &t->root);
    t->past_count++;
}

enum err trust_advance(struct trust *t, struct bytes signed_root)
{
    struct signed_object o;
    struct root r;
    assert(t->root.version > 0);
    enum err e = root_read(&r, &o, signed_root);
    if (e != E_OK)
        return e;
    if (!digest_equal(&r.fleet, &t->root.fleet))
        return E_FLEET;
    if (r.version <= t->root.version)
        return E_STALE;
    if (r.version != t->root.version + 1)
        return E_STATE;
    for (uint32_t i = 0; i < o.count; i++) {
        if (!key_set_has(&r.root, &o.key[i]) && !key_set_has(&t->root.root, &o.key[i]))
            return E_UNLISTED;
    }
    if (signers_count(o.key, o.count, &t->root.root) < t->root.root.threshold ||
        signers_count(o.key, o.count, &r.root) < r.root.threshold)
        return E_THRESHOLD;
    e = signed_verify(&o, ROOT_DOMAIN, &r.fleet);
    if (e != E_OK)
        return e;
    remember(t);
    t->root = r;
    return E_OK;
}

enum err root_chain_next(struct bytes *chain, struct bytes *signed_root)
{
    struct cbor_rd r = cbor_rd_of(*chain);
    *signed_root = cbor_skip(&r);
    if (!field_ok(&r))
        return r.in.err;
    if (signed_root->n == 0)
        return E_TRUNCATED;
    if (signed_root->n > ROOT_BYTES_MAX)
        return E_OVERSIZED;
    chain->p += signed_root->n;
    chain->n -= signed_root->n;
    return E_OK;
}

/* One root of a chain: taken when it is news, judged by its fleet alone when it is not. */
static enum err chain_take(struct trust *t, struct bytes signed_root)
{
    struct signed_object o;
    struct root r;
    if (t->root.version == 0)
        return trust_init(t, signed_root);
    enum err e = root_read(&r, &o, signed_root);
    if (e != E_OK)
        return e;
    if (!digest_equal(&r.fleet, &t->root.fleet))
        return E_FLEET;
    if (r.version <= t->root.version)
        return E_OK;
    return trust_advance(t, signed_root);
}

enum err trust_chain(struct trust *t, struct bytes chain)
{
    while (chain.n > 0) {
        struct bytes signed_root;
        enum err e = root_chain_next(&chain, &signed_root);
        if (e == E_OK)
            e = chain_take(t, signed_root);
        if (e != E_OK)
            return e;
    }
    return t->root.version > 0 ? E_OK : E_TRUNCATED;
}

const struct key_set *trust_release_keys(const struct trust *t, uint32_t root_version)
{
    if (root_version == t->root.version)
        return &t->root.release;
    for (uint32_t i = 0; i < t->past_count; i++) {
        if (t->past[i].version == root_version)
            return &t->past[i].release;
    }
    return NULL;
}
