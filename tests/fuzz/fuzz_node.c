/* One node under a stream of events: an input is a small program of what the world does to it.
 *
 * The first bytes choose the node (device, verify node, publisher) and its limits, which are small,
 * so that every cap is reached.  Then come operations: links of members come and go, messages are
 * raw, random or what an honest peer would say, storage answers in order with or without faults,
 * power fails, time jumps.  node_world.h is the host and holds the checks; node_peers.h speaks.  At
 * the end the world heals: one honest verify node comes with the newest release in force, and the
 * node must get it.
 */
#include "node_peers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MOST 600u

static void configure(void)
{
    uint8_t a = take(), b = take();
    w.lim = (struct limits){.links = LINKS,
                            .images = SLOTS,
                            .pieces = 64,
                            .open_blocks = 64,
                            .chunks = 4,
                            .known = 8,
                            .announced = 32,
                            .requests = 6,
                            .uploads = 5,
                            .window = 50000,
                            .store_ops = 6,
                            .bans = 2,
                            .withdrawals = 2};
    w.conf = (struct node_config){.port = 7000,
                                  .lan = (a & 8) != 0,
                                  .lan_interfaces = 2,
                                  .install = (a & 16) != 0,
                                  .confirm_on_install = (a & 32) != 0,
                                  .image_in_place = (a & 64) != 0,
                                  .poll_us = (a & 128) != 0 ? 300 * SEC : 0,
                                  .up_rate = (b & 1) != 0 ? 100000 : 0,
                                  .down_rate = (b & 2) != 0 ? 100000 : 0};
    switch (a & 3) {
    case 0:
    case 1:
        w.conf.role = ROLE_NORMAL;
        w.conf.model[0] = 'm';
        w.self = test_signer(KEY_NODE + 50);
        break;
    case 2:
        w.conf.role = ROLE_VERIFY;
        w.conf.install = false;
        w.self = test_signer(KEY_VERIFY + 3);
        break;
    case 3:
        w.conf.role = ROLE_PUBLISHER;
        w.conf.publish = true;
        w.conf.install = false;
        w.self = test_signer(KEY_PUBLISH);
        break;
    }
    w.now = (b & 4) != 0 ? 0 : 5000 * SEC;
    w.next_id = 1;
}

/* ---- operations ---- */

static void do_up(void)
{
    uint8_t how = take();
    uint32_t who = take_below(MEMBERS), op = 0;
    struct addr addr = some_addr();
    if ((how & 1) != 0 && w.dials > 0) {
        uint32_t i = (how >> 1) % w.dials;
        op = w.dial_op[i];
        addr = w.dial[i];
        w.dials--;
        w.dial[i] = w.dial[w.dials];
        w.dial_op[i] = w.dial_op[w.dials];
    }
    struct hlink *h = bring_up(who, op, addr);
    if (h == NULL && op != 0) {
        struct event ev = {.type = EV_DOWN, .op = op, .err = E_LIMIT};
        step(&ev);
    }
    if (h != NULL && (how & 128) == 0) {
        drain();
        if (h->used && !h->closing)
            say_hello(h);
    }
}

static void do_down(void)
{
    uint8_t how = take();
    static const enum err errs[] = {E_CLOSED, E_OK, E_TIMEOUT, E_SELF, E_REFUSED};
    enum err e = errs[take_below(5)];
    if ((how & 1) != 0 && w.dials > 0) {
        w.dials--;
        struct event ev = {.type = EV_DOWN, .op = w.dial_op[w.dials], .err = e};
        step(&ev);
        return;
    }
    struct hlink *h = &w.link[(how >> 1) % LINKS];
    if (h->used)
        link_gone(h, e);
}

/* What the node closed goes down, sooner or later. */
static void do_reap(void)
{
    for (uint32_t i = 0; i < LINKS; i++) {
        if (w.link[i].used && w.link[i].closing)
            link_gone(&w.link[i], E_OK);
    }
}

static void do_time(void)
{
    uint8_t how = take();
    usec d = node_deadline(w.n);
    if ((how & 1) != 0 && d != USEC_NEVER && d > w.now)
        w.now = d;
    else
        w.now += (usec)1 << (how % 38);
    struct event ev = {.type = EV_TIME};
    step(&ev);
}

static void do_sent(void)
{
    struct hlink *h = &w.link[take_below(LINKS)];
    uint8_t part = take();
    if (!h->used || h->unsent == 0)
        return;
    struct event ev = {.type = EV_SENT, .link = h->id};
    ev.sent.bytes = part < 200 ? h->unsent : 1 + h->unsent / 256 * part;
    if (ev.sent.bytes > h->unsent)
        ev.sent.bytes = h->unsent;
    h->unsent -= ev.sent.bytes;
    step(&ev);
}

static void do_raw(void)
{
    struct hlink *h = some_link();
    uint32_t n = take();
    uint32_t body = take_below(3) == 0 ? take() * 70u : 0;
    if (n > w.left)
        n = (uint32_t)w.left;
    struct bytes head = bytes_of(w.in, n);
    w.in += n;
    w.left -= n;
    struct body b = {.release = take_below(RELEASES), .index = take(), .good = false};
    if (h != NULL && n > 0)
        give(h, head, body > 0 ? &b : NULL, body, (struct bytes){NULL, 0});
}

/* BEP 52's count of proof layers for a whole chunk. */
static uint32_t proof_count(const struct geometry *g)
{
    uint32_t layers = g->proof_layers == 0 ? 0 : g->proof_layers - 1;
    for (uint32_t h = g->chunk_hashes; h > 1 && g->proof_layers > 0; h >>= 1)
        layers++;
    return layers;
}

/* Pulls the numbers of a random message to where they hit something. */
static void aim(struct wire_msg *m)
{
    uint32_t r = take_below(RELEASES), small = take_below(70);
    const uint8_t *id = fix.release[r].m.id.b;
    switch ((int)m->id) {
    case MSG_open:
        m->open.slot = (uint16_t)take_below(12);
        memcpy(m->open.manifest, id, 32);
        break;
    case MSG_select:
        m->select.slot = (uint16_t)r;
        break;
    case MSG_shut:
        m->shut.slot = (uint16_t)r;
        break;
    case MSG_have:
        m->have.piece = small;
        break;
    case MSG_donthave:
        m->donthave.piece = small;
        break;
    case MSG_haves:
        m->haves.first = small & ~7u;
        if (m->haves.map.n > 2)
            m->haves.map.n = 2;
        break;
    case MSG_bitfield:
        m->bitfield.map.n = (fix.release[r].m.size / fix.release[r].m.piece_length + 8) / 8;
        break;
    case MSG_request:
    case MSG_cancel:
    case MSG_reject: /* of one layout */
        m->request.piece = small;
        m->request.begin = take_below(8) == 0 ? BLOCK_LEN * take_below(16) : 0;
        m->request.length = take_below(8) == 0 ? 777 : BLOCK_LEN;
        break;
    case MSG_bad_block:
        m->bad_block.block = small;
        break;
    case MSG_hash_request: {
        struct geometry g;
        test_ok(geometry_init(&g, fix.release[r].m.size, fix.release[r].m.piece_length));
        memcpy(m->hash_request.root, fix.release[r].m.tree_root.b, 32);
        m->hash_request.base = 0;
        m->hash_request.index = take_below(2) * CHUNK_BLOCKS;
        m->hash_request.length = g.chunk_hashes;
        m->hash_request.proof = proof_count(&g);
        break;
    }
    case MSG_get:
        m->get.kind = (uint8_t)(1 + take_below(4));
        m->get.number = m->get.kind == 2 ? 1 + take_below(3) : 0;
        memset(m->get.id, 0, 32);
        if (m->get.kind != 2 && m->get.kind != 3)
            memcpy(m->get.id, id, 32);
        break;
    case MSG_withdrawn:
        memcpy(m->withdrawn.manifest, id, 32);
        break;
    case MSG_want_peers:
        memcpy(m->want_peers.manifest, id, 32);
        break;
    case MSG_held:
        memcpy(m->held.manifest, id, 32);
        break;
    case MSG_offer:
        memcpy(m->offer.model, fix.release[r].m.model_id.b, 32);
        break;
    case MSG_ask:
        memcpy(m->ask.model, fix.model.b, 32);
        break;
    default:
        break;
    }
}

static void do_random(void)
{
    struct hlink *h = some_link();
    uint8_t scratch[WIRE_HEAD_MAX] = {0};
    bool aimed = take_below(8) != 0;
    struct wire_msg m;
    wire_random(&m, draw, NULL, scratch);
    if (aimed)
        aim(&m);
    if (h == NULL || m.id == MSG_piece || m.id == MSG_hashes || m.id == MSG_data)
        return;
    for (uint32_t times = take_below(16) == 0 ? 40 : 1; times-- > 0 && h->used && !h->closing;)
        say(h, &m);
}

/* A block that nobody asked for, or that somebody did. */
static void do_piece(void)
{
    struct hlink *h = some_link();
    uint32_t r = take_below(RELEASES), block = take();
    const struct manifest *mf = &fix.release[r].m;
    uint32_t per = mf->piece_length / BLOCK_LEN;
    struct geometry g;
    test_ok(geometry_init(&g, mf->size, mf->piece_length));
    if (h == NULL || block >= g.blocks)
        return;
    struct wire_msg m = {.id = MSG_piece};
    m.piece.piece = block / per;
    m.piece.begin = block % per * BLOCK_LEN;
    struct body b = {.release = r, .index = block, .good = take_below(2) == 0};
    uint8_t head[WIRE_HEAD_MAX];
    size_t n = wire_encode(&m, head);
    say_select(h, r);
    give(h, bytes_of(head, n), &b, geometry_block_len(&g, block), (struct bytes){NULL, 0});
}

static void do_say(void)
{
    struct hlink *h = some_link();
    uint8_t what = take();
    uint32_t r = take_below(RELEASES);
    if (h == NULL)
        return;
    switch (what % 10) {
    case 0:
        say_hello(h);
        break;
    case 1:
        say_offer(h, r);
        break;
    case 2:
        say_state(h, take_below(4), take_below(3), take_below(3));
        break;
    case 3:
        say_open(h, r);
        break;
    case 4:
        say_open(h, r);
        say_select(h, r);
        say_simple(h, MSG_have_all);
        say_simple(h, MSG_unchoke);
        break;
    case 5:
        say_open(h, r);
        say_select(h, r);
        say_simple(h, MSG_have_none);
        say_simple(h, MSG_interested);
        break;
    case 6:
        say_select(h, r);
        say_simple(h, (enum msg_id)(take_below(4)));
        break;
    case 7: {
        struct wire_msg m = {.id = MSG_withdrawn};
        memcpy(m.withdrawn.manifest, fix.release[r].m.id.b, 32);
        say(h, &m);
        break;
    }
    case 8: {
        struct wire_msg m = {.id = MSG_shut};
        m.shut.slot = (uint16_t)r;
        say(h, &m);
        break;
    }
    case 9:
        say_simple(h, MSG_bye);
        break;
    }
}

static void do_datagram(void)
{
    uint32_t r = take_below(RELEASES);
    const struct manifest *mf = &fix.release[r].m;
    uint8_t how = take();
    struct wire_msg m = {.id = MSG_announce};
    memcpy(m.announce.magic, "fws1", 4);
    memcpy(m.announce.fleet, w.n->fleet_tag, 8);
    memcpy(m.announce.model, mf->model_id.b, 32);
    m.announce.root_version = (how & 1) != 0 ? 0 : mf->root_version;
    m.announce.sequence = (how & 1) != 0 ? 0 : mf->sequence;
    memcpy(m.announce.manifest, mf->id.b, 32);
    memcpy(m.announce.signer, mf->signers[0].b, 32);
    memcpy(m.announce.token, mf->tokens[0].b, 64);
    m.announce.port = (uint16_t)(7000 + (how & 6));
    uint8_t head[WIRE_HEAD_MAX];
    size_t n = wire_encode(&m, head);
    if ((how & 8) != 0)
        head[take_below((uint32_t)n)] ^= (uint8_t)(1u << take_below(8));
    if ((how & 16) != 0)
        n = take_below((uint32_t)n);
    struct event ev = {.type = EV_DATAGRAM};
    ev.datagram.iface = take_below(3);
    ev.datagram.from = some_addr();
    uint8_t *copy = malloc(n > 0 ? n : 1);
    if (copy == NULL)
        abort();
    memcpy(copy, head, n);
    ev.datagram.data = bytes_of(copy, n);
    for (uint32_t times = (how & 32) != 0 ? 30 : 1; times-- > 0;)
        step(&ev);
    free(copy);
}

static void order_current(struct event *ev, uint32_t r, uint8_t how)
{
    const struct manifest *mf = &fix.release[r].m;
    static uint8_t boot_id[16] = {1};
    boot_id[1] = how & 3;
    ev->order.digest = mf->digest;
    if ((how & 4) != 0)
        ev->order.digest.b[0] ^= 1; /* tampered, or of no release */
    ev->order.text = bytes_str(mf->version);
    ev->order.sequence = (how & 8) != 0 ? mf->sequence : 0;
    ev->order.data = bytes_of(boot_id, (how & 16) != 0 ? 0 : 16);
    order(ev, ORDER_CURRENT);
}

static void do_order(void)
{
    struct event ev = {0};
    uint8_t what = take(), how = take();
    uint32_t r = take_below(RELEASES);
    switch (what % 11) {
    case 0:
        ev.order.addr = some_addr();
        ev.order.flag = (how & 1) != 0;
        order(&ev, ORDER_KNOW);
        break;
    case 1:
        order_current(&ev, r, how);
        break;
    case 2:
        ev.order.data = test_bytes(&fix.release[r].envelope);
        order(&ev, ORDER_RELEASE);
        break;
    case 3:
        ev.order.slot = how % (SLOTS + 1);
        order(&ev, ORDER_ADOPT);
        break;
    case 4:
        order(&ev, ORDER_CHECK);
        break;
    case 5:
        if (!w.installing)
            break;
        w.installing = false;
        ev.order.slot = w.install_slot;
        ev.order.code = (how & 3) == 0 ? 0 : (how & 3) == 1 ? 4 : (how & 3) == 2 ? 75 : 1;
        order(&ev, ORDER_INSTALLED);
        break;
    case 6:
        order(&ev, ORDER_CONFIRM);
        break;
    case 7:
        order(&ev, ORDER_REJECT);
        break;
    case 8:
        ev.order.data = test_bytes(&fix.release[r].withdrawal);
        order(&ev, ORDER_WITHDRAW);
        break;
    case 9:
        ev.order.data = test_bytes(&fix.root_signed[how % 3]);
        if ((how & 4) != 0)
            ev.order.data2 = test_bytes(&fix.list[r % 3]);
        order(&ev, ORDER_TRUST);
        break;
    case 10:
        if (how != 99)
            break;
        order(&ev, ORDER_STOP);
        w.stopped = true;
        break;
    }
}

static void do_learnt(void)
{
    uint8_t how = take();
    struct event ev = {.type = EV_LEARNT};
    if ((how & 1) != 0)
        ev.learnt.roots = test_bytes(&fix.root_signed[1 + (how >> 2) % 2]);
    if ((how & 2) != 0)
        ev.learnt.revocations = test_bytes(&fix.list[(how >> 3) % 3]);
    drain();
    step(&ev);
    drain();
}

static void do_fault(void)
{
    uint8_t how = take();
    switch (how % 5) {
    case 0:
        w.full_disk = !w.full_disk;
        break;
    case 1:
        w.saves_fail = !w.saves_fail;
        break;
    case 2:
    case 3: /* storage changes what was written */
        w.slot[how / 5 % SLOTS].rotten[take()] = true;
        break;
    case 4:
        power_cut(how / 5);
        break;
    }
}

static void operate(void)
{
    uint8_t op = take();
    struct hlink *h;
    switch (op % 16) {
    case 0:
        do_up();
        break;
    case 1:
        do_down();
        break;
    case 2:
        do_time();
        break;
    case 3:
        do_sent();
        break;
    case 4:
        do_raw();
        break;
    case 5:
        do_random();
        break;
    case 6:
        do_say();
        break;
    case 7:
    case 8:
        h = some_link();
        if (h != NULL)
            answer_demands(h, op % 16 == 7 ? 1 : 40, op < 128 ? HONEST : take_below(WAYS));
        break;
    case 9:
        result(take_below(4));
        break;
    case 10:
        results_all();
        break;
    case 11:
        do_order();
        break;
    case 12:
        do_datagram();
        break;
    case 13:
        do_piece();
        break;
    case 14:
        do_learnt();
        break;
    case 15:
        if (op < 160)
            do_reap();
        else
            do_fault();
        break;
    }
    if ((op & 64) == 0)
        settle();
}

/* ---- the end: the world heals ---- */

static uint32_t newest_in_force(void)
{
    uint32_t best = RELEASES;
    for (uint32_t r = 0; r < RELEASES; r++) {
        const struct manifest *m = &fix.release[r].m;
        if (!fix.release[r].valid || r == REL_VAST || r == REL_FUTURE || r == 7 ||
            !digest_equal(&m->model_id, &fix.model) || m->root_version > w.n->trust.root.version ||
            objects_withdrawn(w.n, &m->id) != NULL)
            continue;
        uint32_t listed = 0;
        for (uint32_t k = 0; k < 2; k++)
            listed += key_set_has(&w.n->trust.root.release, &m->signers[k]);
        if (listed < 2)
            continue;
        if (best == RELEASES ||
            release_compare(m->root_version, m->sequence, fix.release[best].m.root_version,
                            fix.release[best].m.sequence) > 0)
            best = r;
    }
    return best;
}

static bool arrived(uint32_t best)
{
    for (uint32_t s = 0; s < SLOTS; s++) {
        struct node_image_status st;
        if (!node_image_status(w.n, s, &st) ||
            !digest_equal(&st.manifest->id, &fix.release[best].m.id))
            continue;
        if (w.conf.install) /* and the installer is there */
            return st.state == RELEASE_PENDING || st.state == RELEASE_CONFIRMED ||
                   st.state == RELEASE_REJECTED;
        return st.state != RELEASE_KNOWN && st.state != RELEASE_FETCHING &&
               st.state != RELEASE_CHECKING && st.state != RELEASE_REFUSED;
    }
    return false;
}

static void calm(void)
{
    w.full_disk = w.saves_fail = false;
    for (uint32_t s = 0; s < SLOTS; s++)
        memset(w.slot[s].rotten, 0, sizeof(w.slot[s].rotten));
    for (uint32_t i = 0; i < LINKS; i++) {
        if (w.link[i].used)
            link_gone(&w.link[i], E_CLOSED);
    }
    results_all();
    w.now += 25 * 3600 * SEC; /* bans and pauses end */
    settle();
    struct event ev = {0};
    order(&ev, ORDER_CURRENT); /* nobody can tell what runs */
    results_all();
}

static void fail_dials(void)
{
    while (w.dials > 0) {
        w.dials--;
        struct event ev = {.type = EV_DOWN, .op = w.dial_op[w.dials], .err = E_REFUSED};
        step(&ev);
    }
}

static void answer_installer(void)
{
    if (!w.installing)
        return;
    w.installing = false;
    struct event ev = {0};
    ev.order.slot = w.install_slot;
    order(&ev, ORDER_INSTALLED);
}

/* One turn of a good world; false when nothing moved. */
static bool turn(struct hlink *h)
{
    bool moved = h->demands > 0 || h->unsent > 0 || w.ops > 0;
    answer_demands(h, DEMANDS, HONEST);
    if (h->used && h->unsent > 0) {
        struct event ev = {.type = EV_SENT, .link = h->id};
        ev.sent.bytes = h->unsent;
        h->unsent = 0;
        step(&ev);
    }
    results_all();
    answer_installer();
    fail_dials();
    do_reap();
    drain();
    return moved;
}

static void heal(void)
{
    if (w.conf.publish || w.stopped)
        return;
    calm();
    w.healing = true;
    uint32_t best = newest_in_force();
    w.best = best;
    if (best == RELEASES || !install_floor_allows(w.n, &fix.release[best].m))
        return;
    const struct slot *newest = release_newest(w.n, &fix.model);
    if (newest != NULL &&
        release_compare(newest->m.root_version, newest->m.sequence,
                        fix.release[best].m.root_version, fix.release[best].m.sequence) >= 0 &&
        !digest_equal(&newest->m.id, &fix.release[best].m.id))
        return; /* something that it cannot take back: too large, or the twin */
    struct hlink *h = NULL;
    for (uint32_t i = 0; i < 5000 && !arrived(best); i++) {
        if (h == NULL || !h->used) {
            h = bring_up(0, 0, some_addr());
            assert(h != NULL);
            drain();
            say_hello(h);
            say_offer(h, best);
            drain();
        }
        if (turn(h))
            continue;
        usec d = node_deadline(w.n);
        assert(d != USEC_NEVER);
        w.now = d > w.now ? d : w.now;
        struct event ev = {.type = EV_TIME};
        step(&ev);
        settle();
    }
    assert(arrived(best));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fixture_make();
    memset(&w, 0, sizeof(w));
    w.in = data;
    w.left = size;
    configure();
    boot();
    for (uint32_t i = 0; i < STEPS_MOST && w.left > 0; i++)
        operate();
    settle();
    heal();
    settle();
    world_end();
    return 0;
}
