/* The scripted core.  It defines every symbol of the node that the simulator uses, so the archive's
 * own is never linked. */
#include "stub.h"

#include <assert.h>
#include <string.h>

const struct limits limits_device = {.links = 20,
                                     .images = 2,
                                     .pieces = 64,
                                     .open_blocks = 64,
                                     .chunks = 4,
                                     .known = 8,
                                     .announced = 32,
                                     .requests = 8,
                                     .uploads = 8,
                                     .window = 65536,
                                     .store_ops = 8,
                                     .bans = 4,
                                     .withdrawals = 4};
const struct limits limits_verify = {.links = 20,
                                     .images = 2,
                                     .pieces = 64,
                                     .open_blocks = 64,
                                     .chunks = 4,
                                     .known = 8,
                                     .announced = 32,
                                     .requests = 8,
                                     .uploads = 8,
                                     .window = 65536,
                                     .store_ops = 8,
                                     .bans = 4,
                                     .withdrawals = 4};

static const struct manifest *stub_manifest;
static struct geometry stub_geo;
static const struct trust *stub_trust;

void stub_use(const struct world *w)
{
    stub_manifest = &w->release[0].manifest;
    stub_geo = w->release[0].geo;
    stub_trust = &w->fleet.trust;
}

size_t node_size(const struct limits *lim)
{
    (void)lim;
    return sizeof(struct node);
}

struct node *node_init(void *mem, const struct limits *lim, const struct node_config *conf,
                       const uint8_t seed[static 32], struct log *log)
{
    (void)lim;
    (void)conf;
    (void)seed;
    (void)log;
    struct node *n = mem;
    memset(n, 0, sizeof(*n));
    n->deadline = USEC_NEVER;
    return n;
}

void stub_do(struct node *n, const struct action *act, const void *head, uint32_t head_len)
{
    assert(n->count < STUB_QUEUE && head_len <= sizeof(n->head[0]));
    uint32_t i = (n->first + n->count++) % STUB_QUEUE;
    n->queue[i] = *act;
    n->queue[i].head_len = head_len;
    if (head_len > 0)
        memcpy(n->head[i], head, head_len);
}

static void remember(struct node *n, const struct event *ev)
{
    if (n->seen_count == STUB_EVENTS)
        return;
    struct stub_seen *s = &n->seen[n->seen_count++];
    s->ev = *ev;
    if (ev->type == EV_MSG) {
        s->head_len = ev->msg.head.n;
        memcpy(s->head, ev->msg.head.p,
               s->head_len < sizeof(s->head) ? s->head_len : sizeof(s->head));
        s->body_len = ev->msg.body_len;
        s->data_len = (uint32_t)ev->msg.data.n;
    }
    for (size_t i = 0; ev->type == EV_OPENED && i < ev->opened.blocks.n * 8; i++)
        s->blocks += bit_test(ev->opened.blocks.p, (uint32_t)i);
}

void node_step(struct node *n, const struct event *ev)
{
    remember(n, ev);
    if (ev->type == EV_TIME && !n->stuck)
        n->deadline = USEC_NEVER;
    if (ev->type == EV_MSG && ev->msg.body != NULL) {
        n->body = ev->msg.body;
        if (n->store_body) {
            struct action act = {.type = ACT_STORE, .op = n->seen_count};
            act.store.at = n->store_at;
            act.store.body = ev->msg.body;
            stub_do(n, &act, NULL, 0);
        }
    }
    if (ev->type == EV_OPENED && n->adopts) {
        struct action act = {.type = ACT_TELL};
        act.tell.what = TELL_HELD;
        n->adopts = false;
        stub_do(n, &act, NULL, 0);
    }
    if (ev->type != EV_ORDER)
        return;
    struct action act = {.type = ACT_OPEN};
    act.open.root = stub_manifest->tree_root;
    act.open.geo = stub_geo;
    act.open.create = ev->order.what == ORDER_RELEASE;
    n->has_release |= ev->order.what == ORDER_RELEASE;
    n->adopts |= ev->order.what == ORDER_ADOPT;
    if (ev->order.what == ORDER_RELEASE || ev->order.what == ORDER_ADOPT)
        stub_do(n, &act, NULL, 0);
}

bool node_next(struct node *n, struct action *act, uint8_t head[static HEAD_MAX])
{
    if (n->count == 0)
        return false;
    *act = n->queue[n->first];
    memcpy(head, n->head[n->first], act->head_len);
    n->first = (n->first + 1) % STUB_QUEUE;
    n->count--;
    return true;
}

usec node_deadline(const struct node *n)
{
    return n->deadline;
}

bool node_image_status(const struct node *n, uint32_t slot, struct node_image_status *out)
{
    *out = (struct node_image_status){.manifest = stub_manifest,
                                      .geo = stub_geo,
                                      .state = n->state,
                                      .pieces_have = n->pieces,
                                      .blocks_have = n->blocks};
    return slot == 0 && n->has_release;
}

void node_status(const struct node *n, struct node_status *out)
{
    *out = (struct node_status){
        .floor_root = 1, .floor_sequence = n->floor, .current_sequence = n->current};
}

bool node_link_status(const struct node *n, uint32_t i, struct node_link_status *out)
{
    *out = n->link;
    return i == 0 && n->link.link != 0;
}

const struct trust *node_trust(const struct node *n)
{
    (void)n;
    return stub_trust;
}

const struct stub_seen *stub_find(const struct node *n, enum event_type type, uint32_t nth)
{
    for (uint32_t i = 0; i < n->seen_count; i++)
        if (n->seen[i].ev.type == type && nth-- == 0)
            return &n->seen[i];
    return NULL;
}

uint32_t stub_seen_of(const struct node *n, enum event_type type)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < n->seen_count; i++)
        count += n->seen[i].ev.type == type;
    return count;
}
