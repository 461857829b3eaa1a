/* Nodes that mean harm: who they are, what links they have, and what is done when.
 *
 * A layer in front of an honest core.  It watches the few words that give meaning to the others
 * (open, select, hello), so that what it says by itself is well-formed and is judged by what it
 * says and not by how. */
#include "adversary.h"

#include "fleet.h"
#include "foe.h"
#include "net.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BACKLOG_MAX   (2 * SEC) /* of its own uplink: beyond it an adversary only harms itself */
#define WORDLESS      200u      /* an id without a row, which is ignored */
#define EVERY_LONGEST (SEC)

/* ---- who ---- */

struct foe *foe_of(const struct world *w, uint32_t node)
{
    uint32_t at = w->harm->place[node];
    return at != NONE ? &w->harm->foe[at] : NULL;
}

struct foe_link *foe_link(const struct foe *f, uint32_t link)
{
    for (uint32_t i = 0; i < f->links; i++)
        if (f->link[i].link == link)
            return &f->link[i];
    return NULL;
}

void foe_tried(struct world *w, const struct foe *f, uint32_t count)
{
    w->harm->attempts[w->node[f->node].behaviour] += count;
}

uint64_t adversary_attempts(const struct world *w, enum behaviour b)
{
    return w->harm->attempts[b];
}

uint32_t foe_target(struct world *w, struct foe *f)
{
    uint32_t to = rng_below(&f->rng, w->count - 1);
    return to >= f->node ? to + 1 : to;
}

/* ---- what is said ---- */

void foe_say(struct world *w, struct foe *f, const struct foe_link *l, const struct wire_msg *m,
             const struct body *body)
{
    uint8_t head[WIRE_HEAD_MAX];
    uint32_t len = (uint32_t)wire_encode(m, head);
    if (!net_send(w, f->node, l->link, head, len, body, 0) && body != NULL)
        blob_drop(body->blob);
}

static void say_select(struct world *w, struct foe *f, struct foe_link *l, int32_t slot)
{
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_select;
    m.select.slot = (uint16_t)slot;
    l->out_slot = slot;
    foe_say(w, f, l, &m, NULL);
}

/* What the core has selected is selected again afterwards, because it will not say it anew. */
void foe_say_on(struct world *w, struct foe *f, struct foe_link *l, uint16_t slot,
                const struct wire_msg *m, const struct body *body)
{
    if (l->out_slot != slot)
        say_select(w, f, l, slot);
    foe_say(w, f, l, m, body);
    if (l->core_slot >= 0 && l->core_slot != l->out_slot)
        say_select(w, f, l, l->core_slot);
}

bool foe_swap(struct world *w, const struct foe *f, const struct action *act,
              const struct wire_msg *m)
{
    uint8_t head[WIRE_HEAD_MAX] = {WORDLESS};
    uint32_t len = m != NULL ? (uint32_t)wire_encode(m, head) : 1;
    (void)net_send(w, f->node, act->link, head, len, NULL, act->head_len + act->send.span.len);
    return false;
}

/* ---- names of images ---- */

uint32_t foe_release(const struct world *w, const uint8_t id[static 32])
{
    for (uint32_t i = 0; i < w->releases; i++)
        if (memcmp(w->release[i].manifest.id.b, id, 32) == 0)
            return i;
    return NONE;
}

uint32_t foe_image(const struct world *w, const uint8_t root[static 32])
{
    for (uint32_t i = 0; i < w->releases; i++)
        if (memcmp(w->release[i].manifest.tree_root.b, root, 32) == 0)
            return i;
    return NONE;
}

int32_t foe_slot(const struct foe_link *l, uint32_t release)
{
    for (uint32_t i = 0; i < l->opens; i++)
        if (l->open[i].release == release)
            return l->open[i].slot;
    return -1;
}

uint32_t foe_far_release(const struct foe_link *l)
{
    for (uint32_t i = 0; i < l->far_opens; i++)
        if (l->far_open[i].slot == l->in_slot)
            return l->far_open[i].release;
    return NONE;
}

/* ---- watching ---- */

/* The core's own words about its slots. */
static void watch_out(const struct world *w, struct foe_link *l, const struct wire_msg *m)
{
    if (m->id == MSG_hello) {
        l->said = true;
    } else if (m->id == MSG_select) {
        l->out_slot = l->core_slot = m->select.slot;
    } else if (m->id == MSG_open) {
        uint32_t i = l->opens < FOE_OPENS ? l->opens++ : m->open.slot % FOE_OPENS;
        l->open[i].slot = m->open.slot;
        l->open[i].release = foe_release(w, m->open.manifest);
    } else if (m->id == MSG_shut) {
        for (uint32_t i = l->opens; i-- > 0;)
            if (l->open[i].slot == m->shut.slot)
                l->open[i] = l->open[--l->opens];
        if (l->core_slot == m->shut.slot)
            l->core_slot = -1;
        if (l->out_slot == m->shut.slot)
            l->out_slot = -1;
    }
}

static void watch_ask(struct foe_link *l, const struct msg_ask *m)
{
    l->ask = *m;
    uint32_t len = m->version.n < VERSION_MAX ? (uint32_t)m->version.n : VERSION_MAX;
    if (len > 0)
        memcpy(l->version, m->version.p, len);
    l->ask.version = bytes_of(NULL, len); /* this place may move */
    l->asked = true;
}

/* The other side's. */
static void watch_in(const struct world *w, struct foe_link *l, const struct wire_msg *m)
{
    if (m->id == MSG_hello) {
        l->heard = true;
    } else if (m->id == MSG_select) {
        l->in_slot = m->select.slot;
    } else if (m->id == MSG_open) {
        uint32_t i = l->far_opens < FOE_OPENS ? l->far_opens++ : m->open.slot % FOE_OPENS;
        l->far_open[i].slot = m->open.slot;
        l->far_open[i].release = foe_release(w, m->open.manifest);
    } else if (m->id == MSG_shut) {
        for (uint32_t i = l->far_opens; i-- > 0;)
            if (l->far_open[i].slot == m->shut.slot)
                l->far_open[i] = l->far_open[--l->far_opens];
    } else if (m->id == MSG_ask) {
        watch_ask(l, &m->ask);
    } else if (m->id == MSG_have_all || m->id == MSG_bitfield || m->id == MSG_have ||
               m->id == MSG_haves) {
        l->holds = true;
    }
}

/* ---- links ---- */

/* Does its core have no link at all? */
static bool speaks_alone(const struct world *w, const struct foe *f)
{
    enum behaviour b = w->node[f->node].behaviour;
    return b == BEHAVE_SLOW_LORIS || b == BEHAVE_LINK_FLOOD;
}

static bool link_up(struct world *w, struct foe *f, const struct event *ev)
{
    bool ours = ev->op >= FOE_OP;
    if (ours)
        f->dials--;
    ours = ours || speaks_alone(w, f);
    assert(f->links < f->cap);
    struct foe_link *l = &f->link[f->links++];
    *l = (struct foe_link){.link = ev->link,
                           .far = net_far(w, f->node, ev->link),
                           .ours = ours,
                           .out_slot = -1,
                           .core_slot = -1,
                           .in_slot = -1,
                           .since = w->now,
                           .spoke = w->now};
    if (ours)
        foe_links_up(w, f, l);
    return !ours;
}

static bool link_down(struct foe *f, const struct event *ev)
{
    if (ev->link == 0) {
        if (ev->op < FOE_OP)
            return true;
        f->dials--;
        return false;
    }
    struct foe_link *l = foe_link(f, ev->link);
    if (l == NULL)
        return true;
    bool ours = l->ours;
    *l = f->link[--f->links];
    return !ours;
}

/* ---- hooks ---- */

static bool on_message(struct world *w, struct foe *f, const struct event *ev)
{
    struct foe_link *l = foe_link(f, ev->link);
    struct wire_msg m;
    if (l == NULL)
        return true;
    if (wire_decode(&m, ev->msg.head) != E_OK)
        return !l->ours;
    watch_in(w, l, &m);
    return foe_blocks_msg(w, f, l, &m) && foe_links_msg(w, f, l, &m) &&
           foe_words_msg(w, f, l, &m) && !l->ours;
}

bool adversary_event(struct world *w, uint32_t node, struct event *ev)
{
    struct foe *f = foe_of(w, node);
    const struct foe_link *l;
    switch (ev->type) {
    case EV_START:
        f->links = f->dials = 0;
        return true;
    case EV_UP:
        return link_up(w, f, ev);
    case EV_DOWN:
        return link_down(f, ev);
    case EV_MSG:
        return on_message(w, f, ev);
    case EV_SENT:
        l = foe_link(f, ev->link);
        return l == NULL || !l->ours;
    case EV_DATAGRAM:
        f->heard_len = (uint32_t)ev->datagram.data.n;
        if (f->heard_len <= sizeof(f->heard) && f->heard_len > 0)
            memcpy(f->heard, ev->datagram.data.p, f->heard_len);
        else
            f->heard_len = 0;
        return true;
    case EV_LOADED:
    case EV_READY:
    case EV_TIME:
    case EV_OPENED:
    case EV_STORED:
    case EV_SAVED:
    case EV_CHECKED:
    case EV_LEARNT:
    case EV_ORDER:
        return true;
    }
    return true;
}

bool adversary_action(struct world *w, uint32_t node, struct action *act, uint8_t *head,
                      struct body *body)
{
    struct foe *f = foe_of(w, node);
    if (act->type == ACT_DIAL)
        return !speaks_alone(w, f);
    if (act->type != ACT_SEND)
        return true;
    struct foe_link *l = foe_link(f, act->link);
    struct wire_msg m;
    if (l == NULL || wire_decode(&m, bytes_of(head, act->head_len)) != E_OK)
        return true;
    watch_out(w, l, &m);
    return foe_blocks_send(w, f, l, act, &m, body) && foe_words_send(w, f, l, act, &m);
}

void adversary_tick(struct world *w, uint32_t node, uint32_t what)
{
    struct foe *f = foe_of(w, node);
    const struct sim_node *n = &w->node[node];
    usec again = EVERY_LONGEST;
    if (n->gone)
        return;
    if (n->core != NULL && n->ready && n->up.free < w->now + BACKLOG_MAX) {
        const usec own[] = {foe_blocks_tick(w, f), foe_links_tick(w, f), foe_words_tick(w, f)};
        for (uint32_t i = 0; i < 3; i++)
            again = own[i] > 0 && own[i] < again ? own[i] : again;
        f->turn++;
    }
    world_schedule(w, w->now + again, TICK_ADVERSARY, node, what, 0);
}

/* ---- beginning and end ---- */

void adversary_init(struct world *w)
{
    struct harm *h = sim_alloc(1, sizeof(*h));
    w->harm = h;
    h->place = sim_alloc(w->count, sizeof(*h->place));
    for (uint32_t i = 0; i < w->count; i++) {
        bool means_harm = w->node[i].behaviour != BEHAVE_HONEST;
        h->place[i] = means_harm ? h->foes : NONE;
        h->foes += means_harm;
    }
    if (h->foes == 0)
        return;
    h->foe = sim_alloc(h->foes, sizeof(*h->foe));
    for (uint32_t i = 0; i < w->count; i++) {
        struct foe *f = foe_of(w, i);
        if (f == NULL)
            continue;
        f->node = i;
        f->op = FOE_OP;
        f->cap = w->node[i].limits->links;
        f->link = sim_alloc(f->cap, sizeof(*f->link));
        struct digest seed;
        fleet_derive(&seed, w->scn.seed, "harm", i);
        rng_init(&f->rng, seed.b);
        usec first = w->scn.group[w->node[i].group].join + rng_below(&f->rng, (uint32_t)SEC);
        world_schedule(w, first, TICK_ADVERSARY, i, 0, 0);
    }
    foe_words_init(w);
}

void adversary_fini(struct world *w)
{
    if (w->harm == NULL)
        return;
    foe_words_fini(w);
    for (uint32_t i = 0; i < w->harm->foes; i++)
        free(w->harm->foe[i].link);
    free(w->harm->foe);
    free(w->harm->place);
    free(w->harm);
}
