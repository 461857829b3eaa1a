/* The revocation list: which indices no longer belong to the fleet.
 *
 * A list is whole, never a difference, so a device needs only the newest.  Lists are ordered by
 * (root version, version).  What a list changes against the one held decides who must have signed
 * it: a few devices more, the enrolment threshold; a verify node, more than a tenth of all leased
 * indices, or an index given back, the root's.  So a stolen enrolment key can neither empty the
 * fleet nor readmit what was thrown out. */
#include "fwswarm/trust.h"

#include <assert.h>
#include <string.h>

#include "field.h"
#include "signed.h"

#define LIST_FORMAT 1u
#define LIST_PAIRS  5u
#define LIST_DOMAIN "fwswarm-revoke"

bool revocations_has(const struct revocations *r, uint32_t index)
{
    uint32_t low = 0, high = r->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (index > r->range[mid].last)
            low = mid + 1;
        else
            high = mid;
    }
    return low < r->count && index >= r->range[low].first;
}

static enum err list_check(const struct revocations *r)
{
    if (r->root_version == 0 || r->version == 0)
        return E_RANGE;
    if (r->count > REVOKED_RANGES_MAX)
        return E_LIMIT;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->range[i].first > r->range[i].last)
            return E_RANGE;
        if (i > 0 && r->range[i].first <= r->range[i - 1].last)
            return E_NONCANONICAL;
    }
    return E_OK;
}

enum err revocations_encode_body(const struct revocations *r, const struct digest *fleet,
                                 struct wr *w)
{
    enum err e = list_check(r);
    if (e != E_OK)
        return e;
    cbor_w_map(w, LIST_PAIRS);
    cbor_w_uint(w, 1);
    cbor_w_uint(w, LIST_FORMAT);
    cbor_w_uint(w, 2);
    cbor_w_bstr(w, bytes_of(fleet->b, sizeof(fleet->b)));
    cbor_w_uint(w, 3);
    cbor_w_uint(w, r->root_version);
    cbor_w_uint(w, 4);
    cbor_w_uint(w, r->version);
    cbor_w_uint(w, 5);
    cbor_w_array(w, r->count);
    for (uint32_t i = 0; i < r->count; i++) {
        cbor_w_array(w, 2);
        cbor_w_uint(w, r->range[i].first);
        cbor_w_uint(w, r->range[i].last);
    }
    return w->err;
}

void revocations_sign(struct sig *out, const struct signer *s, const struct digest *fleet,
                      struct bytes body)
{
    signed_sign(out, s, LIST_DOMAIN, fleet, body);
}

enum err revocations_encode(struct bytes body, const struct key *keys, const struct sig *sigs,
                            uint32_t count, struct wr *w)
{
    return signed_write(body, keys, sigs, count, SIGNED_MAX, w);
}

static enum err list_decode_body(struct revocations *out, struct digest *fleet, struct bytes body)
{
    struct cbor_rd r = cbor_rd_of(body);
    memset(out, 0, sizeof(*out));
    field_map(&r, LIST_PAIRS);
    field_key(&r, 1, LIST_PAIRS);
    field_format(&r, LIST_FORMAT);
    field_key(&r, 2, LIST_PAIRS);
    field_fixed(&r, fleet->b, sizeof(fleet->b));
    field_key(&r, 3, LIST_PAIRS);
    out->root_version = field_u32(&r);
    field_key(&r, 4, LIST_PAIRS);
    out->version = field_u32(&r);
    field_key(&r, 5, LIST_PAIRS);
    out->count = field_array_upto(&r, 0, REVOKED_RANGES_MAX);
    for (uint32_t i = 0; i < out->count; i++) {
        field_array(&r, 2);
        out->range[i].first = field_u32(&r);
        out->range[i].last = field_u32(&r);
        cbor_leave(&r);
    }
    cbor_leave(&r);
    cbor_leave(&r);
    enum err e = cbor_end(&r);
    return e != E_OK ? e : list_check(out);
}

static enum err list_read(struct revocations *out, struct digest *fleet, struct signed_object *o,
                          struct bytes signed_list)
{
    if (signed_list.n > REVOCATIONS_BYTES_MAX)
        return E_OVERSIZED;
    enum err e = signed_read(o, signed_list, SIGNED_MAX);
    return e != E_OK ? e : list_decode_body(out, fleet, o->body);
}

enum err revocations_decode(struct revocations *r, struct digest *fleet, struct bytes *body,
                            struct bytes signed_list)
{
    struct signed_object o;
    enum err e = list_read(r, fleet, &o, signed_list);
    *body = e == E_OK ? o.body : bytes_of(NULL, 0);
    return e;
}

/* ---- who must have signed ---- */

static uint64_t indices_in(const struct revocations *r)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r->count; i++)
        sum += (uint64_t)r->range[i].last - r->range[i].first + 1;
    return sum;
}

/* Indices in both lists: one walk along two sorted rows of ranges. */
static uint64_t indices_shared(const struct revocations *a, const struct revocations *b)
{
    uint64_t sum = 0;
    uint32_t i = 0, k = 0;
    while (i < a->count && k < b->count) {
        const struct index_range *x = &a->range[i], *y = &b->range[k];
        uint32_t first = x->first > y->first ? x->first : y->first;
        uint32_t last = x->last < y->last ? x->last : y->last;
        if (first <= last)
            sum += (uint64_t)last - first + 1;
        if (x->last <= y->last)
            i++;
        else
            k++;
    }
    return sum;
}

static uint64_t indices_leased(const struct root *r)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r->enrol_count; i++) {
        if (r->enrol[i].first <= r->enrol[i].last)
            sum += (uint64_t)r->enrol[i].last - r->enrol[i].first + 1;
    }
    return sum;
}

static bool needs_root(const struct trust *t, const struct revocations *next)
{
    uint64_t shared = indices_shared(next, &t->revoked);
    if (shared < indices_in(&t->revoked))
        return true;
    /* Indices outside every lease count too: they are tomorrow's devices. */
    if ((indices_in(next) - shared) * 10 > indices_leased(&t->root))
        return true;
    for (uint32_t i = 0; i < t->root.verify_count; i++) {
        uint32_t index = t->root.verify[i].index;
        if (revocations_has(next, index) && !revocations_has(&t->revoked, index))
            return true;
    }
    return false;
}

/* Judges signers by the two sets that one root version lists. */
static enum err judge_sets(const struct signed_object *o, const struct key_set *root,
                           const struct key_set *enrol, bool need_root)
{
    for (uint32_t i = 0; i < o->count; i++) {
        if (!key_set_has(root, &o->key[i]) && !key_set_has(enrol, &o->key[i]))
            return E_UNLISTED;
    }
    if (signers_count(o->key, o->count, root) >= root->threshold)
        return E_OK;
    if (need_root || enrol->threshold == 0)
        return E_THRESHOLD;
    return signers_count(o->key, o->count, enrol) >= enrol->threshold ? E_OK : E_THRESHOLD;
}

static enum err judge_signers(const struct trust *t, const struct revocations *next,
                              const struct signed_object *o)
{
    struct key_set enrol;
    bool need_root = needs_root(t, next);
    root_enrol_signers(&enrol, &t->root);
    enum err e = judge_sets(o, &t->root.root, &enrol, need_root);
    if (e != E_OK || next->root_version == t->root.version)
        return e;
    for (uint32_t i = 0; i < t->past_count; i++) {
        if (t->past[i].version == next->root_version)
            return judge_sets(o, &t->past[i].root, &t->past[i].enrol, need_root);
    }
    return E_STALE;
}

enum err trust_revoke(struct trust *t, struct bytes signed_list)
{
    struct signed_object o;
    struct revocations next;
    struct digest fleet;
    assert(t->root.version > 0);
    enum err e = list_read(&next, &fleet, &o, signed_list);
    if (e != E_OK)
        return e;
    if (!digest_equal(&fleet, &t->root.fleet))
        return E_FLEET;
    if (next.root_version < t->revoked.root_version ||
        (next.root_version == t->revoked.root_version && next.version <= t->revoked.version))
        return E_STALE;
    if (next.root_version > t->root.version)
        return E_STATE;
    e = judge_signers(t, &next, &o);
    if (e == E_OK)
        e = signed_verify(&o, LIST_DOMAIN, &fleet);
    if (e == E_OK)
        t->revoked = next;
    return e;
}
