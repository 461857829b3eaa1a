/* Known addresses: room, back-off, groups, kinds of source, verify nodes; and bans. */
#include "swarm/known.h"

#include <check.h>
#include <string.h>

#define CAP 32u

static struct rng rng_of(uint32_t n)
{
    struct rng r;
    uint8_t seed[32] = {0};
    memcpy(seed, &n, sizeof n);
    rng_init(&r, seed);
    return r;
}

static struct addr ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct addr){.family = 4, .ip = {a, b, c, d}, .port = 7000};
}

static struct addr ip6(uint8_t first, uint8_t second, uint8_t net, uint8_t host)
{
    struct addr a = {.family = 6, .port = 7000};
    a.ip[0] = first;
    a.ip[1] = second;
    a.ip[7] = net;
    a.ip[15] = host;
    return a;
}

static struct known_entry memory[CAP];

static struct known empty(void)
{
    struct known k;
    memset(memory, 0xa5, sizeof memory);
    known_init(&k, memory, CAP);
    return k;
}

static struct known_entry *add(struct known *k, struct addr a, enum known_source source)
{
    return known_add(k, &a, source, false, 0);
}

static struct known_entry *add_verify(struct known *k, struct addr a, enum known_source source)
{
    return known_add(k, &a, source, true, 0);
}

/* What a host does: dial whatever is offered, with success. */
static uint32_t link_all(struct known *k, usec now, uint32_t want_verify, struct rng *rng)
{
    uint32_t n = 0;
    for (struct known_entry *e; (e = known_next(k, now, want_verify, rng)) != NULL; n++)
        known_up(k, e);
    return n;
}

START_TEST(add_merges_and_refuses)
{
    struct known k = empty();
    struct addr a = ip4(10, 0, 0, 1), none = {.port = 7000}, odd = a;
    struct known_entry *e = add(&k, a, KNOWN_PEER);
    ck_assert_ptr_nonnull(e);
    ck_assert_ptr_eq(known_add(&k, &a, KNOWN_TRACKER, true, 9), e);
    ck_assert_uint_eq(e->sources, KNOWN_PEER | KNOWN_TRACKER);
    ck_assert(e->verify);
    ck_assert_ptr_eq(add(&k, a, KNOWN_PEER), e);
    ck_assert(e->verify);
    ck_assert_uint_eq(k.count, 1);
    a.port = 0;
    ck_assert_ptr_null(add(&k, a, KNOWN_CONFIGURED));
    ck_assert_ptr_null(add(&k, none, KNOWN_CONFIGURED));
    odd.family = 5;
    ck_assert_ptr_null(add(&k, odd, KNOWN_CONFIGURED));
    /* Another port is another address. */
    a.port = 7001;
    ck_assert_ptr_ne(add(&k, a, KNOWN_PEER), e);
    ck_assert_ptr_eq(known_find(&k, &a), &k.entry[1]);
    a.port = 7002;
    ck_assert_ptr_null(known_find(&k, &a));
}
END_TEST

START_TEST(failed_dials_back_off)
{
    struct known k = empty();
    struct rng rng = rng_of(1);
    add(&k, ip4(10, 0, 0, 1), KNOWN_PEER);
    usec now = 0;
    const uint32_t wait[] = {2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300};
    for (uint32_t i = 0; i < sizeof wait / sizeof *wait; i++) {
        struct known_entry *e = known_next(&k, now, 0, &rng);
        ck_assert_ptr_nonnull(e);
        ck_assert(e->dialling);
        ck_assert_ptr_null(known_next(&k, now, 0, &rng));
        ck_assert(known_deadline(&k) == USEC_NEVER);
        known_down(&k, e, true, now, &rng);
        ck_assert(e->next_dial >= now + wait[i] * SEC);
        ck_assert(e->next_dial <= now + wait[i] * SEC * 5 / 4);
        ck_assert(known_deadline(&k) == e->next_dial);
        ck_assert_ptr_null(known_next(&k, e->next_dial - 1, 0, &rng));
        now = e->next_dial;
    }
    for (uint32_t i = 0; i < 300; i++) {
        known_down(&k, &k.entry[0], true, now, &rng);
        ck_assert(k.entry[0].next_dial <= now + 375 * SEC);
    }
    /* A link that came up forgives; one that ended well is dialled soon, not at once. */
    now = k.entry[0].next_dial;
    struct known_entry *e = known_next(&k, now, 0, &rng);
    known_up(&k, e);
    ck_assert(e->linked && !e->dialling);
    ck_assert_uint_eq(e->failures, 0);
    ck_assert_ptr_null(known_next(&k, now + 999 * SEC, 0, &rng));
    known_down(&k, e, false, now, &rng);
    ck_assert(e->next_dial > now && e->next_dial < now + 2 * SEC);
}
END_TEST

/* Where a crowd came at once there is room again within the minute. */
START_TEST(verify_nodes_are_tried_again_sooner)
{
    struct known k = empty();
    struct rng rng = rng_of(2);
    add_verify(&k, ip4(203, 0, 113, 1), KNOWN_CONFIGURED);
    usec now = 0;
    for (uint32_t i = 0; i < 300; i++) {
        struct known_entry *e = known_next(&k, now, 1, &rng);
        ck_assert_ptr_nonnull(e);
        known_down(&k, e, true, now, &rng);
        ck_assert(e->next_dial >= now + (i < 5 ? (2 * SEC) << i : 40 * SEC));
        ck_assert(e->next_dial <= now + 50 * SEC);
        now = e->next_dial;
    }
}
END_TEST

START_TEST(two_links_a_group)
{
    struct known k = empty();
    struct rng rng = rng_of(2);
    for (uint8_t i = 1; i <= 5; i++) {
        add(&k, ip4(203, 0, 113, i), KNOWN_TRACKER);
        add(&k, ip4(203, 0, 114, i), KNOWN_TRACKER);
        add(&k, ip6(0x20, 0x01, 7, i), KNOWN_TRACKER);
    }
    ck_assert_uint_eq(link_all(&k, 0, 0, &rng), 6);
    /* Those held back are no reason to wake up. */
    ck_assert(known_deadline(&k) == USEC_NEVER);
    for (uint32_t i = 0; i < k.count; i++) {
        if (!k.entry[i].linked || k.entry[i].addr.ip[2] != 113)
            continue;
        known_down(&k, &k.entry[i], true, 0, &rng);
        break;
    }
    ck_assert(known_deadline(&k) == 0);
    struct known_entry *e = known_next(&k, 0, 0, &rng);
    ck_assert_uint_eq(e->addr.ip[2], 113);
    ck_assert_ptr_null(known_next(&k, 0, 0, &rng));
}
END_TEST

START_TEST(near_addresses_are_exempt)
{
    struct known k = empty();
    struct rng rng = rng_of(3);
    struct addr loop6 = ip6(0, 0, 0, 1);
    for (uint8_t i = 1; i <= 4; i++) {
        struct addr other = loop6;
        other.port = (uint16_t)(7000 + i);
        add(&k, ip4(127, 0, 0, i), KNOWN_TRACKER);
        add(&k, ip4(169, 254, 9, i), KNOWN_PEER);
        add(&k, ip6(0xfe, 0x80, 0, i), KNOWN_PEER);
        add(&k, other, KNOWN_PEER);
        add(&k, ip4(192, 168, 1, i), KNOWN_LAN);
    }
    ck_assert_uint_eq(link_all(&k, 0, 0, &rng), 20);
    /* An address that the LAN announces later becomes exempt then. */
    k = empty();
    for (uint8_t i = 1; i <= 4; i++)
        add(&k, ip4(192, 168, 1, i), KNOWN_TRACKER);
    ck_assert_uint_eq(link_all(&k, 0, 0, &rng), 2);
    for (uint8_t i = 1; i <= 4; i++)
        add(&k, ip4(192, 168, 1, i), KNOWN_LAN);
    ck_assert_uint_eq(link_all(&k, 0, 0, &rng), 2);
}
END_TEST

START_TEST(verify_nodes_first_and_no_more_than_wanted)
{
    uint32_t first[4] = {0};
    for (uint32_t seed = 0; seed < 200; seed++) {
        struct known k = empty();
        struct rng rng = rng_of(seed);
        for (uint8_t i = 0; i < 4; i++)
            add_verify(&k, ip4(203, 0, 113, i), KNOWN_CONFIGURED);
        for (uint8_t i = 0; i < 4; i++)
            add(&k, ip4(198, 51, i, 1), KNOWN_TRACKER);
        struct known_entry *e = known_next(&k, 0, 2, &rng);
        ck_assert(e->verify);
        first[e->addr.ip[3]]++;
        ck_assert(known_next(&k, 0, 2, &rng)->verify);
        for (uint32_t i = 0; i < 4; i++)
            ck_assert(!known_next(&k, 0, 2, &rng)->verify);
        ck_assert_ptr_null(known_next(&k, 0, 2, &rng));
        ck_assert(known_deadline(&k) == USEC_NEVER);
        /* Configured ones have their place in a group that is full. */
        ck_assert(known_next(&k, 0, 3, &rng)->verify);
        ck_assert(known_next(&k, 0, 4, &rng)->verify);
        ck_assert_ptr_null(known_next(&k, 0, 9, &rng));
    }
    for (uint32_t i = 0; i < 4; i++)
        ck_assert_uint_gt(first[i], 25);
}
END_TEST

START_TEST(failed_verify_nodes_give_way)
{
    struct known k = empty();
    struct rng rng = rng_of(5);
    add_verify(&k, ip4(203, 0, 113, 1), KNOWN_CONFIGURED);
    add_verify(&k, ip4(203, 0, 113, 2), KNOWN_CONFIGURED);
    add(&k, ip4(198, 51, 0, 1), KNOWN_PEER);
    struct known_entry *down = known_next(&k, 0, 1, &rng);
    ck_assert(!known_next(&k, 0, 1, &rng)->verify);
    known_down(&k, down, true, 0, &rng);
    struct known_entry *e = known_next(&k, 0, 1, &rng);
    ck_assert(e->verify);
    ck_assert_ptr_ne(e, down);
    known_down(&k, e, false, 0, &rng);
    /* Both may be dialled: the one that failed less. */
    ck_assert_ptr_eq(known_next(&k, 10 * SEC, 1, &rng), e);
}
END_TEST

START_TEST(at_least_two_kinds_of_source)
{
    for (uint32_t seed = 0; seed < 50; seed++) {
        struct known k = empty();
        struct rng rng = rng_of(seed);
        /* A peer floods us with its friends; a tracker named two, the operator one. */
        for (uint8_t i = 0; i < 20; i++)
            add(&k, ip4(198, 51, i, 1), KNOWN_PEER);
        add(&k, ip4(203, 0, 1, 1), KNOWN_TRACKER);
        add(&k, ip4(203, 0, 2, 1), KNOWN_TRACKER);
        add(&k, ip4(203, 0, 3, 1), KNOWN_CONFIGURED);
        uint32_t kinds = 0;
        for (uint32_t i = 0; i < 3; i++) {
            struct known_entry *e = known_next(&k, 0, 0, &rng);
            ck_assert_uint_eq(kinds & e->sources, 0);
            kinds |= e->sources;
            known_up(&k, e);
        }
        ck_assert_uint_eq(kinds, KNOWN_PEER | KNOWN_TRACKER | KNOWN_CONFIGURED);
        /* Being named by the flood too does not take an address away from its own source. */
        for (uint32_t i = 0; i < 4; i++)
            known_up(&k, known_next(&k, 0, 0, &rng));
        for (uint8_t i = 1; i <= 3; i++) {
            struct addr a = ip4(203, 0, i, 1);
            ck_assert(known_find(&k, &a)->linked);
        }
    }
}
END_TEST

START_TEST(least_failed_first)
{
    struct known k = empty();
    struct rng rng = rng_of(7);
    for (uint8_t i = 0; i < 8; i++) {
        struct known_entry *e = add(&k, ip4(198, 51, i, 1), KNOWN_PEER);
        e->failures = (uint8_t)(7 - i);
    }
    for (uint32_t i = 8; i-- > 0;)
        ck_assert_uint_eq(known_next(&k, 0, 0, &rng)->addr.ip[2], i);
}
END_TEST

START_TEST(self_is_never_dialled_again)
{
    struct known k = empty();
    struct rng rng = rng_of(8);
    add(&k, ip4(198, 51, 0, 1), KNOWN_PEER);
    struct known_entry *e = known_next(&k, 0, 0, &rng);
    e->self = true;
    known_down(&k, e, false, 0, &rng);
    ck_assert_ptr_null(known_next(&k, 9999 * SEC, 0, &rng));
    ck_assert(known_deadline(&k) == USEC_NEVER);
    add(&k, ip4(198, 51, 0, 1), KNOWN_TRACKER);
    ck_assert_ptr_null(known_next(&k, 9999 * SEC, 0, &rng));
}
END_TEST

START_TEST(full_makes_room_for_the_right_one)
{
    struct known k = empty();
    struct rng rng = rng_of(9);
    for (uint8_t i = 0; i < CAP; i++)
        add(&k, ip4(198, 51, i, 1), i < 2 ? KNOWN_CONFIGURED : KNOWN_TRACKER);
    /* Nobody failed: a flood of new addresses changes nothing. */
    ck_assert_ptr_null(add(&k, ip4(9, 9, 9, 9), KNOWN_PEER));
    k.entry[0].failures = 200; /* configured */
    k.entry[5].failures = 3;
    k.entry[6].failures = 9;
    k.entry[7].failures = 10;
    known_up(&k, &k.entry[7]);
    k.entry[7].failures = 10; /* linked */
    k.entry[8].failures = 11;
    k.entry[8].self = true;
    struct known_entry *e = add(&k, ip4(9, 9, 9, 9), KNOWN_PEER);
    ck_assert_ptr_eq(e, &k.entry[6]);
    ck_assert_uint_eq(e->failures, 0);
    ck_assert_uint_eq(e->sources, KNOWN_PEER);
    ck_assert_ptr_eq(add(&k, ip4(9, 9, 9, 8), KNOWN_PEER), &k.entry[5]);
    ck_assert_ptr_null(add(&k, ip4(9, 9, 9, 7), KNOWN_PEER));
    /* The operator's word finds room. */
    ck_assert_ptr_nonnull(add(&k, ip4(9, 9, 9, 7), KNOWN_CONFIGURED));
    ck_assert_uint_eq(k.count, CAP);
    (void)rng;
}
END_TEST

/* Whatever happens: when nothing is offered, the deadline lies ahead, so that a host never spins;
 * and at the deadline something is offered. */
START_TEST(deadline_and_next_agree)
{
    for (uint32_t seed = 0; seed < 20; seed++) {
        struct known k = empty();
        struct rng rng = rng_of(seed);
        usec now = 0;
        for (uint32_t step = 0; step < 1500; step++) {
            uint32_t what = rng_below(&rng, 100), want = rng_below(&rng, 3);
            struct known_entry *e = k.count > 0 ? &k.entry[rng_below(&rng, k.count)] : NULL;
            struct addr a = ip4(198, 51, (uint8_t)rng_below(&rng, 8), (uint8_t)rng_below(&rng, 9));
            if (what < 20)
                (void)known_add(&k, &a, (enum known_source)(1u << rng_below(&rng, 4)),
                                rng_below(&rng, 4) == 0, now);
            else if (e != NULL && what < 40 && e->dialling)
                known_up(&k, e);
            else if (e != NULL && what < 60 && (e->dialling || e->linked))
                known_down(&k, e, rng_below(&rng, 2) == 0, now, &rng);
            else if (what < 70)
                now += rng_below(&rng, 10 * (uint32_t)SEC);
            usec before = (known_next(&k, 0, want, &rng), known_deadline(&k));
            e = known_next(&k, now, want, &rng);
            ck_assert_int_eq(e != NULL, before <= now);
            if (e == NULL)
                ck_assert(known_deadline(&k) > now);
            else if (rng_below(&rng, 2) == 0)
                known_down(&k, e, true, now, &rng);
        }
    }
}
END_TEST

/* ---- bans ---- */

static struct key key_of(uint8_t n)
{
    return (struct key){.b = {n, 1}};
}

START_TEST(bans_hold_until_they_end)
{
    struct ban room[4];
    struct bans b;
    struct key bad = key_of(1), good = key_of(2);
    memset(room, 0, sizeof room);
    bans_init(&b, room, 4);
    ck_assert_uint_eq(bans_count(&b, 0), 0);
    ck_assert(!bans_has(&b, &bad, 0));
    uint32_t at = bans_add(&b, &bad, 100);
    ck_assert_uint_lt(at, 4);
    ck_assert(key_equal(&room[at].who, &bad));
    ck_assert(bans_has(&b, &bad, 99));
    ck_assert(!bans_has(&b, &bad, 100));
    ck_assert(!bans_has(&b, &good, 0));
    /* The longer of two counts, in one place. */
    ck_assert_uint_eq(bans_add(&b, &bad, 50), at);
    ck_assert(bans_has(&b, &bad, 99));
    ck_assert_uint_eq(bans_add(&b, &bad, 200), at);
    ck_assert(bans_has(&b, &bad, 199));
    ck_assert_uint_eq(bans_count(&b, 0), 1);
}
END_TEST

START_TEST(full_bans_drop_the_first_to_end)
{
    struct ban room[3];
    struct bans b;
    memset(room, 0, sizeof room);
    bans_init(&b, room, 3);
    const usec until[] = {300, 100, 200};
    for (uint8_t i = 0; i < 3; i++) {
        struct key who = key_of(i);
        bans_add(&b, &who, until[i]);
    }
    struct key who = key_of(9), first = key_of(1);
    ck_assert_uint_eq(bans_add(&b, &who, 400), 1);
    ck_assert(!bans_has(&b, &first, 0));
    ck_assert(bans_has(&b, &who, 399));
    ck_assert_uint_eq(bans_count(&b, 0), 3);
    ck_assert_uint_eq(bans_count(&b, 250), 2);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("known");
    TCase *t = tcase_create("known");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, add_merges_and_refuses);
    tcase_add_test(t, failed_dials_back_off);
    tcase_add_test(t, verify_nodes_are_tried_again_sooner);
    tcase_add_test(t, two_links_a_group);
    tcase_add_test(t, near_addresses_are_exempt);
    tcase_add_test(t, verify_nodes_first_and_no_more_than_wanted);
    tcase_add_test(t, failed_verify_nodes_give_way);
    tcase_add_test(t, at_least_two_kinds_of_source);
    tcase_add_test(t, least_failed_first);
    tcase_add_test(t, self_is_never_dialled_again);
    tcase_add_test(t, full_makes_room_for_the_right_one);
    tcase_add_test(t, deadline_and_next_agree);
    tcase_add_test(t, bans_hold_until_they_end);
    tcase_add_test(t, full_bans_drop_the_first_to_end);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
