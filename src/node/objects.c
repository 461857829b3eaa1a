/* Small objects: what is served, and what taking one changes.
 *
 * Roots come one version at a time, because each is judged by the one before.  What changes trust
 * is saved first and told to the host when that save is durable; from then on links use it. */
#include "node/internal.h"

#include <inttypes.h>
#include <string.h>

/* ---- serving ---- */

void objects_on_get(struct node *n, struct nlink *l, const struct msg_get *m)
{
    if (l->gets_count == PENDING_GETS) {
        link_close(n, l, E_FLOOD);
        return;
    }
    *get_of(n, link_index(n, l), l->gets_count++) = *m;
    link_wake(n, l, WAKE_ALL);
}

static uint32_t withdrawal_index(const struct node *n, const struct digest *id)
{
    for (uint32_t i = 0; i < n->lim.withdrawals; i++) {
        if (n->withdrawals[i].used && digest_equal(&n->withdrawals[i].manifest, id))
            return i;
    }
    return NONE;
}

/* The object a get names, or OBJ_NONE. */
static uint32_t get_object(const struct node *n, const struct msg_get *g)
{
    struct digest id;
    memcpy(id.b, g->id, 32);
    if (g->kind == KIND_MANIFEST) {
        const struct slot *s = release_by_manifest(n, &id);
        return s != NULL ? object_id(OBJ_MANIFEST, (uint32_t)(s - n->slots)) : OBJ_NONE;
    }
    if (g->kind == KIND_ROOT && g->number >= 1 && g->number <= n->trust.root.version)
        return object_id(OBJ_ROOT, g->number);
    if (g->kind == KIND_REVOCATIONS && n->trust.revoked.version > 0)
        return object_id(OBJ_REVOCATIONS, 0);
    if (g->kind == KIND_WITHDRAWAL) {
        uint32_t i = withdrawal_index(n, &id);
        return i != NONE ? object_id(OBJ_WITHDRAWAL, i) : OBJ_NONE;
    }
    return OBJ_NONE;
}

static void answer_get(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    uint32_t link = link_index(n, l);
    struct msg_get g = *get_of(n, link, 0);
    l->gets_count--;
    for (uint32_t i = 0; i < l->gets_count; i++)
        *get_of(n, link, i) = *get_of(n, link, i + 1);
    uint32_t object = get_object(n, &g);
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = object != OBJ_NONE ? MSG_data : MSG_nodata;
    /* data and nodata have the layout of get. */
    m.data.kind = g.kind;
    m.data.number = g.number;
    memcpy(m.data.id, g.id, 32);
    struct span span = {object, 0, 0};
    link_emit(n, l, act, head, &m, span);
}

bool objects_next(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    /* Nothing is served that a power cut could still take back.  An object's length is not in the
     * credit, so a link that does not read must not gather them: the one before has left first. */
    if (l->gets_count == 0 || l->answer_left > 0 || !node_all_saved(n))
        return false;
    answer_get(n, l, act, head);
    l->answer_left = l->queued;
    return true;
}

/* ---- taking ---- */

void objects_trust_changed(struct node *n)
{
    node_tell(n, TELL_TRUST, 0, NULL);
    links_rejudge(n);
    release_rejudge(n);
    for (uint32_t i = 0; i < n->links_top; i++)
        n->links[i].state_due = true;
    node_wake_links(n);
    wants_again(n);
}

void objects_take_roots(struct node *n, struct bytes chain, bool save_known)
{
    struct bytes one;
    uint32_t saved = 0;
    /* What is taken is saved: a chain that is longer than that goes on another time. */
    while (saved < ROOTS_AT_ONCE && chain.n > 0 && root_chain_next(&chain, &one) == E_OK) {
        struct root r;
        struct bytes body;
        if (root_decode(&r, &body, one) != E_OK)
            return;
        enum err e =
            r.version == n->trust.root.version + 1 ? trust_advance(&n->trust, one) : E_STALE;
        if (e == E_OK)
            log_info(n->log, "root.taken", "version=%" PRIu32, r.version);
        else if (e != E_STALE)
            log_warn(n->log, "root.refused", "version=%" PRIu32 " err=%s", r.version, err_name(e));
        /* Provisioned roots are kept too, so that any of them can be served. */
        bool keep = e == E_OK ? n->loaded : save_known && r.version <= n->trust.root.version;
        if (!keep)
            continue;
        saved++;
        uint32_t batch = node_save(n, object_id(OBJ_ROOT, r.version), one);
        if (e == E_OK)
            n->trust_batch = batch;
    }
}

enum err objects_take_revocations(struct node *n, struct bytes list, bool save)
{
    enum err e = trust_revoke(&n->trust, list);
    if (e != E_OK)
        return e;
    log_info(n->log, "revocations.taken", "root=%" PRIu32 " version=%" PRIu32 " ranges=%" PRIu32,
             n->trust.revoked.root_version, n->trust.revoked.version, n->trust.revoked.count);
    if (save)
        n->trust_batch = node_save(n, object_id(OBJ_REVOCATIONS, 0), list);
    return E_OK;
}

const struct withdrawn *objects_withdrawn(const struct node *n, const struct digest *manifest)
{
    uint32_t i = withdrawal_index(n, manifest);
    return i != NONE ? &n->withdrawals[i] : NULL;
}

/* A free place, else the one with the lowest sequence: what is long past is least likely to return.
 */
static uint32_t withdrawal_place(const struct node *n)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < n->lim.withdrawals; i++) {
        const struct withdrawn *w = &n->withdrawals[i];
        if (!w->used)
            return i;
        if (release_compare(w->root_version, w->sequence, n->withdrawals[at].root_version,
                            n->withdrawals[at].sequence) < 0)
            at = i;
    }
    return at;
}

enum err objects_take_withdrawal(struct node *n, struct bytes data, uint32_t index)
{
    struct withdrawal w;
    enum err e = withdrawal_open(&w, data, &n->trust);
    if (e != E_OK)
        return e;
    if (!release_wanted_model(n, &w.model) && !n->conf.publish)
        return E_MODEL;
    if (objects_withdrawn(n, &w.manifest) != NULL)
        return E_STALE;
    struct slot *s = release_by_manifest(n, &w.manifest);
    uint32_t i = index != NONE && index < n->lim.withdrawals ? index : withdrawal_place(n);
    bool needed = s != NULL && s->state != RELEASE_WITHDRAWN;
    /* Where all places are taken, neighbours would else pass the lowest two on for ever. */
    if (index == NONE && !needed && n->withdrawals[i].used &&
        release_compare(w.root_version, w.sequence, n->withdrawals[i].root_version,
                        n->withdrawals[i].sequence) <= 0)
        return E_STALE;
    n->withdrawals[i] = (struct withdrawn){w.manifest, w.model, w.root_version, w.sequence, true};
    char hex[17];
    hex_encode(hex, w.manifest.b, 8);
    log_warn(n->log, "release.withdrawn", "manifest=%s", hex);
    if (index == NONE)
        node_save(n, object_id(OBJ_WITHDRAWAL, i), data);
    if (s != NULL)
        release_withdraw(n, s);
    for (uint32_t k = 0; k < n->links_top; k++)
        n->links[k].withdrawn_next = 0;
    node_wake_links(n);
    return E_OK;
}

static enum err take_root(struct node *n, struct bytes data)
{
    uint32_t held = n->trust.root.version;
    enum err e = trust_advance(&n->trust, data);
    if (e != E_OK)
        return e;
    log_info(n->log, "root.taken", "version=%" PRIu32, held + 1);
    n->trust_batch = node_save(n, object_id(OBJ_ROOT, held + 1), data);
    return E_OK;
}

void objects_on_data(struct node *n, struct nlink *l, const struct msg_data *m, struct bytes data)
{
    struct digest id;
    memcpy(id.b, m->id, 32);
    if (!want_arrived(n, l, m->kind, m->number, &id)) {
        link_fault(n, l, E_FLOOD); /* unasked, or too late */
        return;
    }
    enum err e = E_UNKNOWN;
    if (m->kind == KIND_MANIFEST)
        e = release_take(n, data, NONE, link_index(n, l));
    else if (m->kind == KIND_ROOT)
        e = take_root(n, data);
    else if (m->kind == KIND_REVOCATIONS)
        e = objects_take_revocations(n, data, true);
    else if (m->kind == KIND_WITHDRAWAL)
        e = objects_take_withdrawal(n, data, NONE);
    bool right = e == E_OK && (m->kind != KIND_MANIFEST || release_by_manifest(n, &id) != NULL);
    if (e != E_OK && e != E_STALE) {
        char hex[17];
        hex_encode(hex, id.b, 8);
        log_warn(n->log, "object.refused", "kind=%u id=%s err=%s", (unsigned)m->kind, hex,
                 err_name(e));
    }
    /* An honest node relays only what it verified, but roots may differ: unlisted is no proof. */
    if (e == E_SIGNATURE || e == E_FORMAT || e == E_NONCANONICAL || e == E_TRUNCATED ||
        e == E_OVERSIZED || e == E_TRAILING || e == E_FLEET)
        link_close(n, l, e);
    else if (!right)
        link_fault(n, l, E_FLOOD); /* it may happen, but not again and again */
    want_over(n, l, m->kind, m->number, &id, right);
}

void objects_on_nodata(struct node *n, struct nlink *l, const struct msg_nodata *m)
{
    struct digest id;
    memcpy(id.b, m->id, 32);
    if (want_arrived(n, l, m->kind, m->number, &id))
        want_over(n, l, m->kind, m->number, &id, false);
}
