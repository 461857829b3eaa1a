/* Wants: which small objects we ask for, and of whom.
 *
 * Links claim: a root version, a revocation list, releases, withdrawals.  What is claimed and newer
 * than what is held becomes a want, asked of one link at a time.  A want that ends without its
 * object (no answer, a wrong one, the link gone) discredits that claim of that link, and the next
 * link that claims the same is asked, in turn, so that whoever claims and does not give delays
 * nobody for long.  Places for wants are few; when all are taken, the link that holds most of them
 * gives one up to a link that holds fewer. */
#include "node/internal.h"

#include <string.h>

#define WANT_TIMEOUT   (10 * SEC)
#define UNANSWERED_MAX 3u
#define REFUSED_PAUSE  (300 * SEC) /* a claim that failed is looked at again after it */
#define STOP_TRIES     4u          /* links that are asked for one withdrawal */

static struct want *want_find(struct node *n, uint8_t kind, uint32_t number,
                              const struct digest *id)
{
    for (uint32_t i = 0; i < WANTS; i++) {
        struct want *w = &n->wants[i];
        if (w->kind == kind && w->number == number && digest_equal(&w->id, id))
            return w;
    }
    return NULL;
}

static uint32_t wants_of(const struct node *n, uint32_t link)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < WANTS; i++)
        count += n->wants[i].kind != 0 && n->wants[i].link == link ? 1 : 0;
    return count;
}

/* A free place, else one of the link that holds most, if that is more than this link would. */
static struct want *want_place(struct node *n, uint32_t link)
{
    struct want *of_most = NULL;
    uint32_t most = wants_of(n, link) + 1;
    for (uint32_t i = 0; i < WANTS; i++) {
        struct want *w = &n->wants[i];
        if (w->kind == 0)
            return w;
        uint32_t count = wants_of(n, w->link);
        if (count > most) {
            most = count;
            of_most = w;
        }
    }
    return of_most;
}

static void want(struct node *n, struct nlink *l, uint8_t kind, uint32_t number,
                 const struct digest *id, uint32_t tries)
{
    static const struct digest zero = {{0}};
    if (id == NULL)
        id = &zero;
    if (want_find(n, kind, number, id) != NULL)
        return;
    struct want *w = want_place(n, link_index(n, l));
    if (w == NULL)
        return;
    n->wants_count += w->kind == 0;
    *w = (struct want){.kind = kind,
                       .number = number,
                       .id = *id,
                       .link = link_index(n, l),
                       .tries = tries,
                       .deadline = n->now + WANT_TIMEOUT};
    link_wake(n, l, WAKE_ALL);
}

void wants_manifest(struct node *n, struct nlink *l, const struct digest *id)
{
    want(n, l, KIND_MANIFEST, 0, id, 0);
}

bool wants_a_manifest(const struct node *n)
{
    for (uint32_t i = 0; i < WANTS; i++) {
        if (n->wants[i].kind == KIND_MANIFEST)
            return true;
    }
    return false;
}

/* ---- claims ---- */

static void consider(struct node *n, struct nlink *l)
{
    if (l->state_root > n->trust.root.version)
        want(n, l, KIND_ROOT, n->trust.root.version + 1, NULL, 0);
    else if (release_compare(l->list_root, l->list_version, n->trust.revoked.root_version,
                             n->trust.revoked.version) > 0)
        want(n, l, KIND_REVOCATIONS, 0, NULL, 0);
    for (uint32_t i = 0; i < n->lim.images; i++) {
        const struct offer *o = offer_of(n, link_index(n, l), i);
        if (o->set && n->now >= o->refused)
            release_consider(n, l, &o->model, o->root_version, o->sequence, &o->manifest);
    }
}

void wants_again(struct node *n)
{
    for (uint32_t k = 0; k < n->links_top; k++) {
        struct nlink *l = &n->links[(n->want_turn + k) % n->links_top];
        if (l->phase == LINK_READY)
            consider(n, l);
    }
}

void wants_on_state(struct node *n, struct nlink *l, uint32_t root, uint32_t list_root,
                    uint32_t list_version)
{
    l->state_root = root;
    l->list_root = list_root;
    l->list_version = list_version;
    bool current = root >= n->trust.root.version &&
                   release_compare(list_root, list_version, n->trust.revoked.root_version,
                                   n->trust.revoked.version) >= 0;
    if (n->conf.publish && l->origin && current)
        node_tell(n, TELL_TRUSTED_AT, 0, NULL);
    consider(n, l);
}

/* One offer for each model; beyond that the oldest goes. */
static struct offer *offer_place(struct node *n, struct nlink *l, const struct digest *model)
{
    for (uint32_t i = 0; i < n->lim.images; i++) {
        struct offer *o = offer_of(n, link_index(n, l), i);
        if (!o->set || digest_equal(&o->model, model))
            return o;
    }
    l->offers_next = (l->offers_next + 1) % n->lim.images;
    return offer_of(n, link_index(n, l), l->offers_next);
}

void wants_on_offer(struct node *n, struct nlink *l, const struct offer *o, bool anew)
{
    if (!release_wanted_model(n, &o->model))
        return;
    struct offer *at = offer_place(n, l, &o->model);
    usec refused = !anew && digest_equal(&at->manifest, &o->manifest) ? at->refused : 0;
    *at = *o;
    at->set = true;
    at->refused = refused;
    if (n->now >= refused)
        release_consider(n, l, &o->model, o->root_version, o->sequence, &o->manifest);
}

void wants_on_withdrawn(struct node *n, struct nlink *l, const struct msg_withdrawn *m)
{
    struct digest id;
    memcpy(id.b, m->manifest, 32);
    if (objects_withdrawn(n, &id) == NULL)
        want(n, l, KIND_WITHDRAWAL, 0, &id, 0);
    else if (n->conf.publish && l->origin)
        node_tell(n, TELL_STOPPED_AT, 0, &id);
}

/* ---- ends ---- */

/* This link said that it has something and did not give it. */
static void discredit(struct node *n, struct nlink *l, uint8_t kind, const struct digest *id)
{
    if (kind == KIND_ROOT)
        l->state_root = 0;
    else if (kind == KIND_REVOCATIONS)
        l->list_root = l->list_version = 0;
    for (uint32_t i = 0; kind == KIND_MANIFEST && i < n->lim.images; i++) {
        struct offer *o = offer_of(n, link_index(n, l), i);
        if (digest_equal(&o->manifest, id))
            o->refused = n->now + REFUSED_PAUSE;
    }
}

/* Links do not repeat what stops they hold, so the next one is asked unasked-for: it may well hold
 * this one too. */
static void ask_next_for_stop(struct node *n, uint32_t after, const struct digest *id,
                              uint32_t tries)
{
    if (tries >= STOP_TRIES || objects_withdrawn(n, id) != NULL)
        return;
    for (uint32_t k = 1; k < n->links_top; k++) {
        struct nlink *l = &n->links[(after + k) % n->links_top];
        if (l->phase != LINK_READY || l->who.role == ROLE_PUBLISHER)
            continue;
        want(n, l, KIND_WITHDRAWAL, 0, id, tries);
        return;
    }
}

static void want_free(struct node *n, struct want *w)
{
    w->kind = 0;
    n->wants_count--;
}

/* w ended without its object.  Who answered, and not with what it claimed, was not truthful; who
 * did not answer may have been. */
static void want_failed(struct node *n, struct want *w, bool answered)
{
    struct want was = *w;
    want_free(n, w);
    n->want_turn = was.link + 1;
    discredit(n, &n->links[was.link], was.kind, &was.id);
    if (was.kind == KIND_WITHDRAWAL && !answered)
        ask_next_for_stop(n, was.link, &was.id, was.tries + 1);
}

bool want_arrived(struct node *n, struct nlink *l, uint8_t kind, uint32_t number,
                  const struct digest *id)
{
    const struct want *w = want_find(n, kind, number, id);
    if (w == NULL || &n->links[w->link] != l)
        return false;
    l->unanswered = 0;
    return true;
}

void want_over(struct node *n, struct nlink *l, uint8_t kind, uint32_t number,
               const struct digest *id, bool right)
{
    struct want *w = want_find(n, kind, number, id);
    if (w != NULL && &n->links[w->link] == l) {
        if (right)
            want_free(n, w);
        else
            want_failed(n, w, true);
    }
    wants_again(n);
}

void wants_link_gone(struct node *n, uint32_t link)
{
    struct nlink *l = &n->links[link];
    bool any = false;
    l->state_root = l->list_root = l->list_version = 0;
    for (uint32_t i = 0; i < n->lim.images && offer_of(n, link, i)->set; i++)
        memset(offer_of(n, link, i), 0, sizeof(struct offer));
    for (uint32_t i = 0; i < WANTS; i++) {
        if (n->wants[i].kind == 0 || n->wants[i].link != link)
            continue;
        want_failed(n, &n->wants[i], false);
        any = true;
    }
    if (any)
        wants_again(n);
}

void wants_time(struct node *n)
{
    for (uint32_t i = 0; i < WANTS && n->wants_count > 0; i++) {
        struct want *w = &n->wants[i];
        if (w->kind == 0 || n->now < w->deadline)
            continue;
        struct nlink *l = &n->links[w->link];
        want_failed(n, w, false);
        if (++l->unanswered >= UNANSWERED_MAX)
            link_close(n, l, E_TIMEOUT);
        wants_again(n);
    }
}

usec wants_deadline(const struct node *n)
{
    usec t = USEC_NEVER;
    for (uint32_t i = 0; i < WANTS && n->wants_count > 0; i++) {
        if (n->wants[i].kind != 0 && n->wants[i].deadline < t)
            t = n->wants[i].deadline;
    }
    return t;
}

/* ---- asking ---- */

bool wants_next(struct node *n, struct nlink *l, struct action *act, uint8_t *head)
{
    uint32_t under_way = 0;
    struct want *next = NULL;
    for (uint32_t i = 0; i < WANTS && n->wants_count > 0; i++) {
        struct want *w = &n->wants[i];
        if (w->kind == 0 || &n->links[w->link] != l)
            continue;
        if (w->sent)
            under_way++;
        else if (next == NULL)
            next = w;
    }
    /* No more than the other side keeps in mind. */
    if (next == NULL || under_way >= GETS_AT_ONCE)
        return false;
    next->sent = true;
    next->deadline = n->now + WANT_TIMEOUT;
    struct wire_msg m;
    memset(&m, 0, sizeof(m));
    m.id = MSG_get;
    m.get.kind = next->kind;
    m.get.number = next->number;
    memcpy(m.get.id, next->id.b, 32);
    link_emit(n, l, act, head, &m, (struct span){0, 0, 0});
    return true;
}
