/* The invariants, each judged from what the host sees and from the core's own status.
 *
 * Integrity is mostly structural: a disk marks a block only when its tag is the signed image's, and
 * a send reads from durable bits alone.  What remains to check is that the core names the right
 * spans, keeps to its credit and limits, makes progress with time, and never goes back in sequence.
 */
#include "checks.h"

#include "disk.h"
#include "fault.h"
#include "fwswarm/wire.h"
#include "judge.h"
#include "net.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define TRIES_LONG 4u

void check_failed(struct world *w, uint32_t node, const char *fmt, ...)
{
    uint32_t i = w->violations++;
    if (i >= VIOLATIONS_MAX)
        return;
    struct violation *v = &w->violation[i];
    v->at = w->now;
    v->step = w->steps;
    v->node = node;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->what, sizeof(v->what), fmt, ap);
    va_end(ap);
    if (w->trace != NULL)
        fprintf(w->trace, "  VIOLATION node=%u %s\n", node, v->what);
}

/* ---- memory ---- */

static bool scenario_has(const struct world *w, enum fault_kind kind)
{
    for (uint32_t i = 0; i < w->scn.faults; i++)
        if (w->scn.fault[i].kind == kind)
            return true;
    return false;
}

void check_init(struct world *w)
{
    w->judge = sim_alloc(1, sizeof(*w->judge));
    w->judge->node = sim_alloc(w->count, sizeof(*w->judge->node));
    w->judge->reads_fail = scenario_has(w, FAULT_DISK_ERROR);
}

void check_fini(struct world *w)
{
    struct judge *j = w->judge;
    if (j == NULL)
        return;
    for (uint32_t i = 0; i < w->count; i++) {
        struct judge_node *n = &j->node[i];
        for (uint32_t k = 0; n->slot != NULL && k < w->node[i].limits->images; k++) {
            free(n->slot[k].blocks);
            free(n->slot[k].maybe);
        }
        for (uint32_t k = 0; k < SCN_RELEASES; k++)
            free(n->asked[k]);
        free(n->slot);
        free(n->op);
        free(n->blame);
    }
    for (size_t i = 0; i < j->ends_cap; i++)
        free(j->end[i].ask);
    free(j->end);
    free(j->node);
    free(j);
}

/* ---- what happens to a node, and what it does ---- */

void check_event(struct world *w, uint32_t node, const struct event *ev)
{
    if (!judged(w, node))
        return;
    struct judge_node *n = judge_of(w, node);
    switch (ev->type) {
    case EV_START:
        judge_boot(w, node);
        return;
    case EV_READY:
        n->ready_at = w->now;
        n->check_ready = true;
        return;
    case EV_UP:
        judge_up(w, node, ev);
        return;
    case EV_DOWN:
        judge_down(w, node, ev);
        return;
    case EV_MSG:
        judge_heard(w, node, ev);
        return;
    case EV_OPENED:
        judge_opened(w, node, ev);
        return;
    case EV_STORED:
        judge_stored(w, node, ev);
        return;
    case EV_SENT:
        n->check_credit = true;
        return;
    case EV_ORDER:
        if (ev->order.what == ORDER_ADOPT && ev->order.slot < w->node[node].limits->images)
            n->slot[ev->order.slot].imported = true;
        return;
    case EV_LOADED:
    case EV_TIME:
    case EV_DATAGRAM:
    case EV_SAVED:
    case EV_CHECKED:
    case EV_LEARNT:
        return;
    }
}

void check_action(struct world *w, uint32_t node, const struct action *act, const uint8_t *head)
{
    if (!judged(w, node))
        return;
    switch (act->type) {
    case ACT_OPEN:
    case ACT_SHUT:
    case ACT_STORE:
        judge_storage(w, node, act);
        return;
    case ACT_SAVE:
        judge_save(w, node, act);
        return;
    case ACT_TELL:
        judge_tell(w, node, act);
        return;
    case ACT_CAST:
        judge_casts(w, node, bytes_of(head, act->head_len));
        return;
    case ACT_CLOSE:
        judge_closes(w, node, act->link);
        return;
    case ACT_DIAL:
    case ACT_SEND:
    case ACT_CHECK:
        return;
    }
}

void check_drained(struct world *w, uint32_t node)
{
    if (!judged(w, node))
        return;
    struct judge_node *n = judge_of(w, node);
    if (n->check_ready)
        judge_ready(w, node);
    if (n->opened_slot != NONE)
        judge_after_open(w, node);
    if (n->dooms > 0)
        judge_cancels(w, node);
    if (n->check_credit)
        judge_credit(w, node);
    judge_starved(w, node);
}

/* ---- what it says ---- */

/* Where a block message says its body belongs, against where the body was read. */
static void check_body(struct world *w, uint32_t node, const struct wire_msg *m,
                       const struct body *body)
{
    const struct geometry *geo = &w->release[body->release].geo;
    if (m->id == MSG_piece && body->kind == OBJ_IMAGE) {
        uint64_t off = (uint64_t)m->piece.piece * geo->piece_length + m->piece.begin;
        if (off != body->off)
            check_failed(w, node, "sends bytes at %" PRIu64 " as piece %u begin %u", body->off,
                         m->piece.piece, m->piece.begin);
    } else if (m->id == MSG_hashes && body->kind == OBJ_CHUNK) {
        if (m->hashes.index != (uint64_t)body->off * geo->chunk_hashes)
            check_failed(w, node, "sends chunk %" PRIu64 " as hashes from %u", body->off,
                         m->hashes.index);
    } else if (m->id == MSG_piece || m->id == MSG_hashes || body->kind == OBJ_IMAGE ||
               body->kind == OBJ_CHUNK) {
        check_failed(w, node, "sends an object of kind %d in a %s", (int)body->kind,
                     wire_name((uint8_t)m->id));
    }
}

void check_send(struct world *w, uint32_t node, const struct action *act, const uint8_t *head,
                const struct body *body)
{
    struct wire_msg m;
    if (!judged(w, node))
        return;
    enum err e = wire_decode(&m, bytes_of(head, act->head_len));
    if (e != E_OK) {
        check_failed(w, node, "sends what does not decode: %s", err_text(e));
        return;
    }
    if (body != NULL)
        check_body(w, node, &m, body);
    uint64_t queued = net_queued(w, node, act->link);
    if (queued == UINT64_MAX) {
        check_failed(w, node, "sends %s on link %u, which it does not have",
                     wire_name((uint8_t)m.id), act->link);
        return;
    }
    /* The window may be passed by the message that fills it, and a small object goes at once. */
    bool payload = body != NULL && (body->kind == OBJ_IMAGE || body->kind == OBJ_CHUNK);
    if (payload && queued > w->node[node].limits->window)
        check_failed(w, node, "queues a body behind %" PRIu64 " bytes, its window is %u", queued,
                     w->node[node].limits->window);
    judge_says(w, node, act->link, &m, body);
}

void check_state(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    struct node_status s;
    if (!judged(w, node))
        return;
    node_status(n->core, &s);
    if (release_compare(s.floor_root, s.floor_sequence, n->seen_floor_root,
                        n->seen_floor_sequence) < 0)
        check_failed(w, node, "its floor goes back from %u/%" PRIu64 " to %u/%" PRIu64,
                     n->seen_floor_root, n->seen_floor_sequence, s.floor_root, s.floor_sequence);
    n->seen_floor_root = s.floor_root;
    n->seen_floor_sequence = s.floor_sequence;
    if (s.links > n->limits->links)
        check_failed(w, node, "has %u links, the limit is %u", s.links, n->limits->links);
    if (s.known > n->limits->known)
        check_failed(w, node, "knows %u addresses, the limit is %u", s.known, n->limits->known);
    if (s.bans > n->limits->bans)
        check_failed(w, node, "has %u bans, the limit is %u", s.bans, n->limits->bans);
}

void check_kept(struct world *w, uint32_t node)
{
    struct sim_node *n = &w->node[node];
    /* A floor that is still waiting for its commit may be lost. */
    for (size_t i = 0; i < n->disk.jobs; i++)
        if (n->disk.job[i].save && object_kind_of(n->disk.job[i].object) == OBJ_FLOOR)
            return;
    n->kept_floor_root = n->seen_floor_root;
    n->kept_floor_sequence = n->seen_floor_sequence;
}

void check_deadline(struct world *w, uint32_t node, bool acted)
{
    struct sim_node *n = &w->node[node];
    if (acted || node_alarm(n, node_deadline(n->core)) > w->now) {
        n->spins = 0;
        return;
    }
    if (++n->spins < 2)
        return;
    n->spins = 0;
    check_failed(w, node, "its deadline %" PRIu64 " has passed twice and nothing happens",
                 node_deadline(n->core));
    /* Time must go on for the others. */
    alarms_set(&w->alarms, node, w->now + SEC / 10);
}

void check_held(struct world *w, uint32_t node, uint32_t slot)
{
    struct sim_node *n = &w->node[node];
    struct node_image_status st;
    if (!judged(w, node))
        return;
    if (!node_image_status(n->core, slot, &st)) {
        check_failed(w, node, "says that it holds slot %u, which is empty", slot);
        return;
    }
    if (!disk_slot_whole(&n->disk, slot)) {
        check_failed(w, node, "says that it holds slot %u, and its disk has %u of %u blocks", slot,
                     slot < n->disk.slots ? n->disk.slot[slot].blocks_have : 0, st.geo.blocks);
        return;
    }
    const struct manifest *m = &w->release[n->disk.slot[slot].release].manifest;
    if (!digest_equal(&m->id, &st.manifest->id))
        check_failed(w, node, "holds an image under another release's manifest");
    uint32_t root = 1;
    for (uint32_t i = 0; i < w->releases; i++)
        if (digest_equal(&w->release[i].manifest.digest, &n->current))
            root = w->release[i].manifest.root_version;
    /* What an installer once failed at may be found whole again after something newer was. */
    if (n->member.role == ROLE_NORMAL && st.state == RELEASE_INSTALLING &&
        release_compare(m->root_version, m->sequence, root, n->current_sequence) < 0)
        check_failed(w, node, "goes back from sequence %" PRIu64 " to %" PRIu64,
                     n->current_sequence, m->sequence);
}

void check_link(struct world *w, const struct wire_link *l)
{
    if (l->flying != 0)
        check_failed(w, l->end[0].node,
                     "%" PRIu64 " bytes of a link to node %u are unaccounted for", l->flying,
                     l->end[1].node);
}

/* How often the installer was started for the release that this device is to have. */
static uint32_t install_tries(const struct world *w, uint32_t node)
{
    const struct sim_node *n = &w->node[node];
    for (uint32_t i = 0; n->core != NULL && i < n->limits->images; i++) {
        struct node_image_status st;
        if (node_image_status(n->core, i, &st) &&
            digest_equal(&st.manifest->id, &w->release[n->want].manifest.id))
            return st.install_tries;
    }
    return 0;
}

/* Who holds its release installs it, but for who runs a newer one that was withdrawn while its
 * installer was at work: nobody goes back.  An installer that was stopped or refused several times
 * waits longer than a run. */
static void check_installed(struct world *w)
{
    uint32_t count = 0, first = NONE;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct sim_node *n = &w->node[i];
        if (!node_counts(n) || n->core == NULL || n->want == NONE || fault_excused(w, i) ||
            n->held_at == USEC_NEVER || n->confirmed_at != USEC_NEVER ||
            n->current_sequence > w->release[n->want].manifest.sequence ||
            install_tries(w, i) >= TRIES_LONG)
            continue;
        first = count++ == 0 ? i : first;
    }
    if (count > 0)
        check_failed(w, first, "holds its release and has not installed it, one of %u such", count);
}

void check_end(struct world *w)
{
    const struct net *net = &w->net;
    if (net->wire_sent != net->wire_received + net->wire_lost + net->wire_flying)
        check_failed(w, NONE,
                     "%" PRIu64 " bytes sent, %" PRIu64 " received, %" PRIu64 " lost, %" PRIu64
                     " on the way",
                     net->wire_sent, net->wire_received, net->wire_lost, net->wire_flying);
    uint32_t lacking = fault_lacking(w, false);
    if (lacking > 0 && w->now >= w->until)
        check_failed(w, NONE, "%u devices lack the image when the time is up", lacking);
    else if (lacking > 0)
        check_failed(w, NONE, "%u devices lack the image and nothing is left to happen", lacking);
    if (w->now >= w->until)
        check_installed(w);
}
