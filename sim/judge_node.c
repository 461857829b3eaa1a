/* What a node takes, stops, installs, and whom it trusts no more. */
#include "judge.h"

#include "net.h"
#include "record.h"

#include <inttypes.h>
#include <string.h>

#define BAN_TIME    (24 * 3600 * SEC)
#define FRESH_WAIT  (60 * SEC)
#define FRESH_PEERS 3u
#define NEWER_KNOWN (60 * SEC) /* for so long that it cannot be a matter of order any more */
#define BAD_EXTRA   4u         /* chunk records beside the blocks of a window */

/* ---- releases ---- */

uint8_t judge_release_of(const struct world *w, const struct digest *manifest)
{
    for (uint32_t i = 0; i < w->releases; i++)
        if (digest_equal(&w->release[i].manifest.id, manifest))
            return (uint8_t)i;
    return JUDGE_NONE;
}

static bool blob_is(const struct blob *b, struct bytes data)
{
    return b != NULL && bytes_equal(bytes_of(b->data, b->len), data);
}

static uint8_t release_of_envelope(const struct world *w, struct bytes data)
{
    for (uint32_t i = 0; i < w->releases; i++)
        if (blob_is(w->release[i].envelope, data))
            return (uint8_t)i;
    return JUDGE_NONE;
}

static uint8_t release_of_stop(const struct world *w, struct bytes data)
{
    for (uint32_t i = 0; i < w->releases; i++)
        if (blob_is(w->release[i].withdrawal, data))
            return (uint8_t)i;
    return JUDGE_NONE;
}

static int compare(const struct world *w, uint8_t a, uint8_t b)
{
    const struct manifest *x = &w->release[a].manifest, *y = &w->release[b].manifest;
    return release_compare(x->root_version, x->sequence, y->root_version, y->sequence);
}

bool judge_stopped(const struct world *w, uint32_t node, uint8_t release)
{
    return release != JUDGE_NONE && (judge_of(w, node)->stopped & 1u << release) != 0;
}

static void stop_known(struct world *w, uint32_t node, uint8_t release)
{
    struct judge_node *n = judge_of(w, node);
    n->stopped |= 1u << release;
    uint32_t model = w->scn.release[release].model;
    if (n->best[model] == release)
        n->best[model] = JUDGE_NONE;
}

static void best_known(struct world *w, uint32_t node, uint8_t release)
{
    struct judge_node *n = judge_of(w, node);
    uint32_t model = w->scn.release[release].model;
    if (judge_stopped(w, node, release) ||
        (n->best[model] != JUDGE_NONE && compare(w, release, n->best[model]) <= 0))
        return;
    n->best[model] = release;
    n->best_at[model] = w->now;
}

/* ---- what is durable ---- */

static uint32_t index_of(const struct world *w, struct bytes key)
{
    for (uint32_t i = 0; i < w->count; i++) {
        const struct key *k = &w->node[i].member.node;
        if (bytes_equal(key, bytes_of(k->b, sizeof(k->b))))
            return w->node[i].member.index;
    }
    return NONE;
}

static struct judge_blame *blame_of(struct judge_node *n, uint32_t who)
{
    for (size_t i = 0; i < n->blames; i++)
        if (n->blame[i].who == who)
            return &n->blame[i];
    return NULL;
}

static struct judge_blame *blame_new(struct judge_node *n, uint32_t who)
{
    sim_grow(&n->blame, &n->blames_cap, n->blames + 1, sizeof(*n->blame));
    struct judge_blame *b = &n->blame[n->blames++];
    *b = (struct judge_blame){.who = who, .at = USEC_NEVER};
    return b;
}

void judge_records(struct world *w, uint32_t node)
{
    struct judge_node *n = judge_of(w, node);
    const struct disk *d = &w->node[node].disk;
    n->stopped = 0;
    n->blames = 0;
    memset(n->best, JUDGE_NONE, sizeof(n->best));
    for (size_t i = 0; i < d->records; i++) {
        struct bytes data = bytes_of(d->record[i].blob->data, d->record[i].blob->len);
        enum object_kind kind = object_kind_of(d->record[i].object);
        uint8_t r = JUDGE_NONE;
        if (kind == OBJ_WITHDRAWAL && (r = release_of_stop(w, data)) != JUDGE_NONE)
            stop_known(w, node, r);
        if (kind == OBJ_MANIFEST && (r = release_of_envelope(w, data)) != JUDGE_NONE)
            best_known(w, node, r);
        uint32_t who = kind == OBJ_BAN ? index_of(w, data) : NONE;
        if (who != NONE && blame_of(n, who) == NULL)
            blame_new(n, who)->at = w->now;
    }
}

/* ---- taking ---- */

static void taken(struct world *w, uint32_t node, struct bytes envelope)
{
    struct judge_node *n = judge_of(w, node);
    const struct sim_node *sn = &w->node[node];
    uint8_t r = release_of_envelope(w, envelope);
    if (r == JUDGE_NONE) {
        check_failed(w, node, "keeps a manifest that the vendor did not sign");
        return;
    }
    const struct manifest *m = &w->release[r].manifest;
    struct node_status s;
    node_status(sn->core, &s);
    if (sn->model != NONE && sn->model != w->scn.release[r].model)
        check_failed(w, node, "takes %s, which is another model's", m->version);
    if (judge_stopped(w, node, r))
        check_failed(w, node, "takes %s, which it knows to be withdrawn", m->version);
    uint8_t best = n->best[w->scn.release[r].model];
    if (best != JUDGE_NONE && compare(w, r, best) < 0)
        check_failed(w, node, "goes back from sequence %" PRIu64 " to %" PRIu64,
                     w->release[best].manifest.sequence, m->sequence);
    if (release_compare(m->root_version, m->sequence, s.floor_root, s.floor_sequence) < 0)
        check_failed(w, node, "takes sequence %" PRIu64 ", which lies below its floor %" PRIu64,
                     m->sequence, s.floor_sequence);
    bool device = sn->member.role == ROLE_NORMAL;
    if (device && m->root_version == 1 && m->sequence < s.current_sequence)
        check_failed(w, node, "takes sequence %" PRIu64 " while it runs %" PRIu64, m->sequence,
                     s.current_sequence);
    best_known(w, node, r);
}

void judge_save(struct world *w, uint32_t node, const struct action *act)
{
    enum object_kind kind = object_kind_of(act->save.object);
    struct bytes data = act->save.data;
    if (data.p == NULL || data.n == 0)
        return; /* the core's own records, and deletions */
    if (kind == OBJ_MANIFEST) {
        taken(w, node, data);
    } else if (kind == OBJ_WITHDRAWAL) {
        uint8_t r = release_of_stop(w, data);
        if (r == JUDGE_NONE)
            check_failed(w, node, "keeps a stop that the vendor did not sign");
        else
            stop_known(w, node, r);
    }
}

/* ---- installing ---- */

void judge_answered(struct world *w, uint32_t node, uint32_t far)
{
    struct judge_node *n = judge_of(w, node);
    uint32_t who = w->node[far].member.index, at = n->answers;
    for (uint32_t i = 0; i < n->answers; i++)
        if (n->answer[i].who == who)
            at = i;
    if (at == JUDGE_ANSWERS) {
        at = 0;
        for (uint32_t i = 1; i < JUDGE_ANSWERS; i++)
            if (n->answer[i].at < n->answer[at].at)
                at = i;
    } else if (at == n->answers) {
        n->answers++;
    }
    n->answer[at] = (struct judge_answer){
        .who = who, .verify = w->node[far].member.role == ROLE_VERIFY, .at = w->now};
}

/* Somebody was asked for something newer, or time was given to. */
static void judge_fresh(struct world *w, uint32_t node, uint32_t slot)
{
    const struct judge_node *n = judge_of(w, node);
    usec since = n->slot[slot].held_at != USEC_NEVER ? n->slot[slot].held_at : n->ready_at;
    if (w->now >= since + FRESH_WAIT)
        return;
    uint32_t verify = 0, all = 0;
    for (uint32_t i = 0; i < n->answers; i++) {
        all += n->answer[i].at >= since;
        verify += n->answer[i].verify && n->answer[i].at >= since;
    }
    uint32_t need = (w->verify - 1) / 3 + 1;
    if (verify < need && all < FRESH_PEERS)
        check_failed(w, node,
                     "installs after %u answers, %u of them by verify nodes, where %u are needed",
                     all, verify, need);
}

static void judge_install(struct world *w, uint32_t node, uint32_t slot, uint8_t r)
{
    const struct judge_node *n = judge_of(w, node);
    const struct manifest *m = &w->release[r].manifest;
    uint32_t model = w->scn.release[r].model;
    uint8_t best = n->best[model];
    if (best != JUDGE_NONE && compare(w, r, best) < 0 && w->now >= n->best_at[model] + NEWER_KNOWN)
        check_failed(w, node, "installs sequence %" PRIu64 " and knows of %" PRIu64, m->sequence,
                     w->release[best].manifest.sequence);
    if (judge_pending(&w->node[node].disk, object_id(OBJ_RELEASE, slot)) != NULL)
        check_failed(w, node, "installs %s before it is on its disk that it does", m->version);
    judge_fresh(w, node, slot);
}

/* The floor, as its record has it or soon will. */
static bool floor_kept(const struct disk *d, uint32_t *root, uint64_t *sequence)
{
    const struct disk_job *j = judge_pending(d, object_id(OBJ_FLOOR, 0));
    const struct blob *b = j != NULL ? j->blob : record_find(d, object_id(OBJ_FLOOR, 0));
    if (b == NULL)
        return false;
    struct rd in = rd_of(bytes_of(b->data, b->len));
    (void)rd_u8(&in);
    *root = rd_u32(&in);
    *sequence = rd_u64(&in);
    return rd_end(&in) == E_OK;
}

static void judge_confirm(struct world *w, uint32_t node, uint8_t r)
{
    const struct manifest *m = &w->release[r].manifest;
    uint32_t root = 0;
    uint64_t sequence = 0;
    if (!floor_kept(&w->node[node].disk, &root, &sequence) ||
        release_compare(root, sequence, m->root_version, m->sequence) < 0)
        check_failed(w, node, "confirms sequence %" PRIu64 ", and its disk's floor is %" PRIu64,
                     m->sequence, sequence);
}

void judge_tell(struct world *w, uint32_t node, const struct action *act)
{
    struct judge_node *n = judge_of(w, node);
    uint32_t slot = act->tell.slot;
    bool about = act->tell.what == TELL_INSTALL || act->tell.what == TELL_HELD ||
                 act->tell.what == TELL_CONFIRMED;
    if (!about || slot >= w->node[node].limits->images)
        return;
    struct judge_slot *s = &n->slot[slot];
    if (s->release == JUDGE_NONE) {
        /* What runs here already may be confirmed without any storage. */
        if (act->tell.what != TELL_CONFIRMED)
            check_failed(w, node, "has slot %u, in which nothing is", slot);
        return;
    }
    if (act->tell.what == TELL_CONFIRMED) {
        judge_confirm(w, node, s->release);
        return;
    }
    if (judge_stopped(w, node, s->release))
        check_failed(w, node, "%s %s, which it knows to be withdrawn",
                     act->tell.what == TELL_INSTALL ? "installs" : "holds",
                     w->release[s->release].manifest.version);
    if (s->have != w->release[s->release].geo.blocks)
        check_failed(w, node, "says that slot %u is whole, and %u of %u blocks were stored", slot,
                     s->have, w->release[s->release].geo.blocks);
    if (act->tell.what == TELL_HELD)
        s->held_at = w->now;
    else
        judge_install(w, node, slot, s->release);
}

/* ---- bad blocks ---- */

void judge_blame(struct world *w, uint32_t node, const struct judge_op *op, bool known)
{
    struct judge_node *n = judge_of(w, node);
    const struct sim_node *sn = &w->node[node];
    if (op->from == NONE)
        return;
    uint32_t who = w->node[op->from].member.index;
    if (is_sound(w, op->from))
        check_failed(w, node, "finds a bad block of node %u, which is honest", op->from);
    struct judge_blame *b = blame_of(n, who);
    if (b == NULL)
        b = blame_new(n, who);
    b->bad++;
    if (b->bad == sn->limits->requests + BAD_EXTRA + 1)
        check_failed(w, node, "took %u bad blocks of one identity", b->bad);
    /* Where places for links are scarce, that of a link which is gone may be another's by now. */
    bool gone = net_far(w, node, op->link) == NONE;
    if (known && (!gone || sn->links * 2 <= sn->limits->links))
        b->at = w->now;
}

bool judge_is_blamed(const struct world *w, uint32_t node, uint32_t far)
{
    struct judge_node *n = judge_of(w, node);
    if (n->blames == 0 || n->blames > w->node[node].limits->bans)
        return false;
    const struct judge_blame *b = blame_of(n, w->node[far].member.index);
    return b != NULL && b->at != USEC_NEVER && w->now < b->at + BAN_TIME - FRESH_WAIT;
}
