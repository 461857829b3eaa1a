/* Each kind of adversary at work against the real core: it tries what it is there for, every honest
 * device comes to its release, no check fails, and what it remembers stays bounded. */
#include "adversary.h"
#include "checks.h"
#include "foe.h"
#include "stage.h"

#include <string.h>

#define FOES    3u
#define DEVICES 9u
#define LATE    2u
#define LATER   (30 * SEC)
#define LOOK    500u /* steps between two looks */
#define DIALS   64u

/* Two models, three releases, a place with a LAN, devices that come late, and adversaries. */
static void plan(enum behaviour b)
{
    stage_plan(5 + (uint64_t)b);
    scn->group[0].count = 3;
    scn->group[1].count = DEVICES;
    scn->group[1].installed = 1;
    scn->sites = 1;
    scn->site[0] = (struct scn_site){.name = "place", .count = 1, .rtt = 2000, .lan = true};
    scn->group[1].site = 0;
    memcpy(scn->model[1], "other", sizeof("other"));
    scn->models = 2;
    scn->release[0].size = 1 << 20;
    scn->releases = 3;
    for (uint32_t i = 1; i < scn->releases; i++) {
        scn->release[i] = scn->release[0];
        scn->release[i].sequence = scn->release[0].sequence + i;
        snprintf(scn->release[i].version, sizeof(scn->release[i].version), "%u.0", i + 8);
    }
    scn->release[1].at = 5 * SEC;
    scn->release[2].model = 1;
    struct scn_group *late = add_group("late", LATE);
    late->join = LATER;
    late->site = NONE;
    add_group("others", DEVICES)->model = 1;
    if (b == BEHAVE_HONEST)
        return;
    struct scn_group *foes = add_group("foes", b == BEHAVE_LYING_VERIFY ? 1 : FOES);
    foes->behaviour = b;
    foes->verify = b == BEHAVE_LYING_VERIFY;
    if (foes->verify) {
        foes->installed = 0;
        foes->site = NONE;
    }
}

static void look(void)
{
    for (uint32_t i = 0; i < w->harm->foes; i++) {
        const struct foe *f = &w->harm->foe[i];
        ck_assert_uint_le(f->links, f->cap);
        ck_assert_uint_le(f->dials, DIALS);
        ck_assert_uint_eq(f->cap, w->node[f->node].limits->links);
    }
}

static void start(enum behaviour b)
{
    plan(b);
    stage_begin();
}

static void run(void)
{
    for (uint64_t i = 1; world_step(w); i++)
        if (i % LOOK == 0)
            look();
    check_end(w);
}

START_TEST(tries_and_does_no_harm)
{
    enum behaviour b = (enum behaviour)_i;
    start(b);
    run();
    ck_assert_msg(w->violations == 0, "%s: %s", behaviour_name[b], w->violation[0].what);
    ck_assert_msg(adversary_attempts(w, b) > 0, "%s never tries", behaviour_name[b]);
    for (uint32_t o = 0; o < BEHAVE_COUNT; o++)
        if (o != (uint32_t)b)
            ck_assert_uint_eq(adversary_attempts(w, (enum behaviour)o), 0);
    ck_assert_uint_eq(w->devices, 2 * DEVICES + LATE);
    ck_assert_uint_eq(w->unheld, 0);
    ck_assert_uint_eq(w->unconfirmed, 0);
    ck_assert_uint_ge(w->now, LATER);
    stage_clear();
}
END_TEST

START_TEST(without_adversaries_nothing_is_tried)
{
    start(BEHAVE_HONEST);
    ck_assert_uint_eq(w->harm->foes, 0);
    run();
    ck_assert_uint_eq(w->violations, 0);
    for (uint32_t b = 0; b < BEHAVE_COUNT; b++)
        ck_assert_uint_eq(adversary_attempts(w, (enum behaviour)b), 0);
    stage_clear();
}
END_TEST

static uint32_t honest_bans(void)
{
    uint32_t bans = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        struct node_status s;
        if (w->node[i].behaviour != BEHAVE_HONEST || w->node[i].core == NULL)
            continue;
        node_status(w->node[i].core, &s);
        bans += s.bans;
    }
    return bans;
}

START_TEST(false_blocks_cost_their_sender_its_name)
{
    start((enum behaviour)_i);
    run();
    ck_assert_uint_gt(honest_bans(), 0);
    stage_clear();
}
END_TEST

START_TEST(who_sends_no_false_block_is_not_banned)
{
    start(BEHAVE_HIDER);
    run();
    ck_assert_uint_eq(honest_bans(), 0);
    stage_clear();
}
END_TEST

START_TEST(clones_are_one_member)
{
    start(BEHAVE_CLONES);
    const struct sim_node *first = NULL;
    uint32_t clones = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        const struct sim_node *n = &w->node[i];
        if (n->behaviour != BEHAVE_CLONES)
            continue;
        clones++;
        if (first == NULL)
            first = n;
        ck_assert(key_equal(&first->member.node, &n->member.node));
        ck_assert_uint_eq(first->member.index, n->member.index);
        ck_assert(first == n || !addr_equal(&first->addr, &n->addr));
    }
    ck_assert_uint_eq(clones, FOES);
    stage_clear();
}
END_TEST

/* What a forger offers, judged as a device judges it. */
START_TEST(forgeries_are_forged)
{
    start(BEHAVE_FORGER);
    for (uint32_t model = 0; model < 2; model++) {
        const struct forgery *y = &w->harm->forgery[model];
        struct manifest m;
        for (uint32_t i = 0; i < 2; i++) {
            struct bytes b = bytes_of(y->envelope[i]->data, y->envelope[i]->len);
            enum err e = manifest_open(&m, b, &w->fleet.trust);
            ck_assert_msg(i == 0 ? e == E_THRESHOLD || e == E_UNLISTED : e == E_SIGNATURE, "%s",
                          err_text(e));
        }
        ck_assert_uint_eq(y->manifest.sequence, UINT64_MAX);
    }
    stage_clear();
}
END_TEST

/* Enough stolen keys make a manifest that the first root lets pass and the second does not. */
START_TEST(stolen_keys_are_good_until_they_are_replaced)
{
    plan(BEHAVE_FORGER);
    scn->keys = (struct scn_keys){.count = 3, .threshold = 2, .stolen = 2, .rotate_at = SEC};
    stage_begin();
    const struct blob *b = w->harm->forgery[0].envelope[0];
    struct manifest m;
    ck_assert_int_eq(manifest_open(&m, bytes_of(b->data, b->len), &w->fleet.trust), E_OK);
    ck_assert_int_eq(manifest_open(&m, bytes_of(b->data, b->len), &w->fleet.newest), E_UNLISTED);
    scn->keys.stolen = 1;
    stage_begin();
    b = w->harm->forgery[0].envelope[0];
    ck_assert_int_eq(manifest_open(&m, bytes_of(b->data, b->len), &w->fleet.trust), E_THRESHOLD);
    stage_clear();
}
END_TEST

/* The attack would succeed where the vendor does nothing against it: then it is seen. */
START_TEST(stolen_keys_that_nobody_replaces_succeed)
{
    plan(BEHAVE_FORGER);
    scn->keys = (struct scn_keys){.count = 3, .threshold = 2, .stolen = 2};
    scn->until = LATER + 10 * SEC;
    stage_begin();
    run();
    ck_assert_uint_gt(w->violations, 0);
    ck_assert_ptr_nonnull(strstr(w->violation[0].what, "that the vendor did not sign"));
    stage_clear();
}
END_TEST

START_TEST(same_seed_same_harm)
{
    uint64_t hash[2], tries[2];
    for (uint32_t i = 0; i < 2; i++) {
        start(BEHAVE_STALE);
        run();
        hash[i] = w->trace_hash;
        tries[i] = adversary_attempts(w, BEHAVE_STALE);
        stage_clear();
    }
    ck_assert_uint_eq(hash[0], hash[1]);
    ck_assert_uint_eq(tries[0], tries[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim adversary");
    TCase *t = tcase_create("adversary");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, tries_and_does_no_harm, BEHAVE_HONEST + 1, BEHAVE_COUNT);
    tcase_add_test(t, without_adversaries_nothing_is_tried);
    tcase_add_loop_test(t, false_blocks_cost_their_sender_its_name, BEHAVE_GARBAGE,
                        BEHAVE_GARBAGE + 1);
    tcase_add_loop_test(t, false_blocks_cost_their_sender_its_name, BEHAVE_CLONES,
                        BEHAVE_CLONES + 1);
    tcase_add_loop_test(t, false_blocks_cost_their_sender_its_name, BEHAVE_MIXER, BEHAVE_MIXER + 1);
    tcase_add_test(t, who_sends_no_false_block_is_not_banned);
    tcase_add_test(t, clones_are_one_member);
    tcase_add_test(t, forgeries_are_forged);
    tcase_add_test(t, stolen_keys_are_good_until_they_are_replaced);
    tcase_add_test(t, stolen_keys_that_nobody_replaces_succeed);
    tcase_add_test(t, same_seed_same_harm);
    suite_add_tcase(s, t);
    return test_run(s);
}
