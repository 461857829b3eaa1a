/* What must hold inside the node of fuzz_node.c whenever it was drained: counters say what they
 * count, and what is remembered fits what it is of. */
#pragma once

#include "node_state.h"

static uint32_t count_bits(const uint8_t *p, uint32_t n)
{
    uint32_t c = 0;
    for (uint32_t i = 0; i < n; i++)
        c += bit(p, i);
    return c;
}

static void check_stream(const struct nlink *l, uint32_t s, uint32_t *unchoked, uint32_t *asks)
{
    const struct node *n = w.n;
    const struct stream *st = stream_of(n, link_index(n, l), s);
    const struct slot *sl = &n->slots[s];
    if (st->unchoked)
        (*unchoked)++;
    *asks += st->chunk_out != 0;
    if (!link_live(l))
        assert(!st->unchoked && !st->far_greeted && st->chunk_out == 0);
    if (st->unchoked || st->far_greeted || st->greeted)
        assert(stream_live(st) && sl->opened);
    if (st->far_greeted) {
        assert(count_bits(st->bits, sl->geo.pieces) == st->far_have);
        assert(count_bits(st->bits, (w.lim.pieces + 7) / 8 * 8) == st->far_have);
    } else {
        assert(st->bits == NULL && st->far_have == 0);
    }
    assert(st->told <= sl->gained_count || !st->greeted);
    bool complete = st->far_greeted && st->far_have == sl->geo.pieces;
    bool idle = st->greeted && !st->far_want && !complete;
    uint32_t link = link_index(n, l);
    assert(idle == ((sl->idle[link / 64] >> (63 - link % 64) & 1) != 0));
    assert(st->chunk_in_count <= PENDING_CHUNKS);
}

/* The lists of a link lie in pools that all links share. */
static void check_lists(const struct node *n, const struct nlink *l, uint32_t *asks)
{
    uint32_t count = 0, late = 0;
    if (l->phase == LINK_GONE)
        return;
    for (uint32_t i = l->asks_head, prev = LIST_END; i != LIST_END; i = n->asks[i].next) {
        const struct ask *a = &n->asks[i];
        assert(a->prev == prev && ++count <= l->asks_count);
        assert(a->block < n->slots[a->slot].geo.blocks);
        usec due = a->late ? a->deadline + 30 * SEC : a->deadline;
        assert(l->asks_due <= due);
        late += a->late;
        *asks += !a->late;
        prev = i;
    }
    assert(count == l->asks_count && late == l->asks_late);
    for (uint32_t i = l->uploads_head, left = l->uploads_count; left > 0; left--) {
        assert(n->uploads[i].block < n->slots[n->uploads[i].slot].geo.blocks);
        i = n->uploads[i].next;
    }
}

/* Every place of a pool is free or in one link's list. */
static void check_pools(const struct node *n)
{
    uint32_t asks = 0, uploads = 0;
    for (uint32_t i = 0; i < w.lim.links; i++) {
        if (n->links[i].phase == LINK_FREE || n->links[i].phase == LINK_GONE)
            continue;
        asks += n->links[i].asks_count;
        uploads += n->links[i].uploads_count;
    }
    for (uint32_t i = n->asks_free; i != LIST_END; i = n->asks[i].next)
        asks++;
    for (uint32_t i = n->uploads_free; i != LIST_END; i = n->uploads[i].next)
        uploads++;
    assert(asks == n->asks_used && asks <= asks_most(&w.lim));
    assert(uploads == n->uploads_used && uploads <= uploads_most(&w.lim));
}

/* A time that was kept from an earlier drain is never later than the exact one. */
static void check_times(const struct node *n)
{
    for (uint32_t i = 0; n->loaded && i < n->links_top; i++) {
        const struct nlink *l = &n->links[i];
        usec exact = l->phase != LINK_FREE ? link_deadline(n, l) : USEC_NEVER;
        /* Except that a queue stalls by a rate, which changes by itself. */
        assert(n->link_due[i] <= exact || (l->queued > 0 && !l->stalled));
        assert(n->links_due <= n->link_due[i]);
        assert(n->link_ids[i] == (l->phase == LINK_FREE || l->phase == LINK_GONE ? 0 : l->id));
    }
    if (!n->loaded)
        return;
    assert(n->haves_due <= exchange_deadline(n));
    usec other = wants_deadline(n), install = install_deadline(n);
    assert(n->other_due <= other && n->other_due <= install);
}

static void check_links(void)
{
    const struct node *n = w.n;
    uint32_t live = 0, unchoked = 0, asks = 0, known = 0;
    uint64_t queued = 0;
    for (uint32_t i = 0; i < w.lim.links; i++) {
        const struct nlink *l = &n->links[i];
        if (l->phase == LINK_FREE)
            continue;
        if (l->phase != LINK_GONE) {
            const struct hlink *h = hlink_by_id(l->id);
            live++;
            queued += l->stalled ? 0 : l->queued;
            assert(h != NULL && h->unsent == l->queued);
            known += l->known != NULL;
        }
        if (!link_live(l))
            assert(l->asks_count == 0 && l->uploads_count == 0);
        assert(l->asks_count <= w.lim.requests && l->uploads_count <= w.lim.uploads);
        assert(l->far_count <= FAR_OPENS && l->gets_count <= PENDING_GETS);
        assert(l->cancels_count <= CANCELS);
        check_lists(n, l, &asks);
        for (uint32_t k = 0; k < l->cancels_count; k++)
            assert(l->cancels[k].block < n->slots[l->cancels[k].slot].geo.blocks);
        for (uint32_t s = 0; s < SLOTS; s++)
            check_stream(l, s, &unchoked, &asks);
    }
    assert(n->links_count == live && n->unchoked == unchoked && n->asks_out == asks);
    assert(unchoked <= UPLOAD_SLOTS_MOST && n->queued == queued);
    uint32_t linked = 0, dialling = 0;
    for (uint32_t i = 0; i < n->known.count; i++) {
        linked += n->known.entry[i].linked;
        dialling += n->known.entry[i].dialling;
    }
    assert(linked == known && dialling == n->dials_count && n->dials_count == w.dials);
    check_pools(n);
    check_times(n);
}

static void check_slots(void)
{
    const struct node *n = w.n;
    uint32_t ops = 0, of_slot[SLOTS] = {0};
    for (uint32_t i = 0; i < w.lim.store_ops; i++) {
        if (!n->ops[i].used)
            continue;
        ops++;
        of_slot[n->ops[i].slot]++;
    }
    assert(n->ops_used == ops && ops + n->asks_out <= w.lim.store_ops);
    for (uint32_t s = 0; s < SLOTS; s++) {
        const struct slot *sl = &n->slots[s];
        assert(sl->stores == of_slot[s]);
        if (!release_slot_used(sl))
            continue;
        uint32_t r = release_of_id(sl->m.id.b);
        assert(r < RELEASES && fix.release[r].valid);
        if (sl->opened) {
            assert(w.slot[s].bound && digest_equal(&w.slot[s].root, &sl->m.tree_root));
            for (uint32_t p = 0; p < sl->geo.pieces; p++) {
                uint32_t held = 0;
                for (uint32_t i = 0; i < w.lim.links; i++) {
                    const struct stream *st = stream_of(n, i, s);
                    held += st->far_greeted && bit(st->bits, p);
                }
                assert(picker_availability(sl->picker, p) == held);
            }
        }
        if (sl->state == RELEASE_WITHDRAWN || sl->state == RELEASE_REFUSED)
            assert(!sl->opened && !release_slot_shared(sl));
    }
}
