/* What flags make of a scenario, and whether it fits into memory. */
#include "override.h"
#include "room.h"
#include "unit/run.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536u

static struct scenario *good(const char *text)
{
    struct scenario *s = sim_alloc(1, sizeof(*s));
    uint32_t line;
    char why[512];
    bool ok = scenario_read(s, text, strlen(text), &line, why, sizeof(why));
    ck_assert_msg(ok, "line %u: %s", line, why);
    return s;
}

/* As texts, which name everything that there is. */
static bool same_scenario(const struct scenario *a, const struct scenario *b)
{
    char *x = sim_alloc(1, TEXT_MAX), *y = sim_alloc(1, TEXT_MAX);
    scenario_write(a, x, TEXT_MAX);
    scenario_write(b, y, TEXT_MAX);
    bool same = strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

static bool flag(struct scenario *s, enum override what, uint64_t v, char why[512])
{
    struct overrides o = {.without = NULL};
    o.given[what] = true;
    o.value[what] = v;
    why[0] = '\0';
    return override_apply(s, &o, why, 512);
}

START_TEST(flags_prevail)
{
    struct scenario *s =
        good("site shop count=4\npeers a count=2 site=shop\nverify v\nverify w\n"
             "adversary bad garbage\nrelease size=1MiB\nrelease size=2MiB at=5s\n");
    char why[512];
    ck_assert(flag(s, OVERRIDE_SEED, 9, why) && s->seed == 9);
    ck_assert(flag(s, OVERRIDE_UNTIL, SEC, why) && s->until == SEC);
    ck_assert(flag(s, OVERRIDE_PEERS, 12, why) && s->group[0].count == 3);
    ck_assert(!flag(s, OVERRIDE_PEERS, 13, why) && strstr(why, "a multiple of 4") != NULL);
    ck_assert(!flag(s, OVERRIDE_VERIFY, 3, why));
    ck_assert_str_eq(why, "--verify 3: the scenario has 2 groups of verify nodes; write count= in "
                          "the file");
    ck_assert(flag(s, OVERRIDE_IMAGE_SIZE, 4096, why));
    ck_assert(s->release[0].size == 4096 && s->release[1].size == 4096);
    ck_assert(flag(s, OVERRIDE_ORIGIN_UP, 5000, why));
    ck_assert(s->group[1].up == 5000 && s->group[1].down == 5000 && s->group[2].up == 5000);
    ck_assert(flag(s, OVERRIDE_PEER_UP, 6000, why) && flag(s, OVERRIDE_PEER_DOWN, 7000, why));
    ck_assert(s->group[0].up == 6000 && s->group[0].down == 7000);
    ck_assert_uint_eq(s->group[3].up, 1250000);
    ck_assert(flag(s, OVERRIDE_RTT, 77, why) && s->group[3].rtt == 77 && s->site[0].rtt == 1000);
    free(s);
    s = good("peers a\npeers b\n");
    ck_assert(!flag(s, OVERRIDE_PEERS, 100, why) && strstr(why, "2 groups of devices") != NULL);
    free(s);
}
END_TEST

START_TEST(crashes_become_faults)
{
    struct scenario *s = good("peers a count=40\nfault 7 stall\n"), again;
    char why[512];
    again = *s;
    ck_assert(!flag(s, OVERRIDE_CRASH, 41, why) && strstr(why, "there are 40 devices") != NULL);
    ck_assert(flag(s, OVERRIDE_CRASH, 40, why));
    ck_assert_uint_eq(s->faults, 17);
    uint32_t count = 0;
    for (uint32_t i = 1; i < s->faults; i++) {
        const struct scn_fault *f = &s->fault[i];
        ck_assert(f->kind == FAULT_CRASH && f->number == 7 + i && f->lasts >= SEC);
        ck_assert(f->at >= SEC / 10 && f->at < 600 * SEC);
        count += f->count;
    }
    ck_assert_uint_eq(count, 40);
    ck_assert(!scenario_wrong(s, why, sizeof(why)));
    /* The same moments for the same seed, others for another. */
    struct scenario other = again;
    other.seed = 99;
    ck_assert(flag(&again, OVERRIDE_CRASH, 40, why) && flag(&other, OVERRIDE_CRASH, 40, why));
    ck_assert(same_scenario(s, &again) && !same_scenario(s, &other));
    ck_assert(s->fault[1].at != other.fault[1].at);
    /* Three fault places left take three waves; none is no room. */
    s->faults = SCN_FAULTS - 3;
    ck_assert(flag(s, OVERRIDE_CRASH, 40, why) && s->faults == SCN_FAULTS);
    ck_assert(!flag(s, OVERRIDE_CRASH, 1, why) && strstr(why, "--without 7") != NULL);
    free(s);
}
END_TEST

START_TEST(faults_are_left_out_by_number)
{
    struct scenario *s = good("fault 2 stall\nfault 5 crash\nfault 9 gone count=1\n");
    struct overrides o = {.without = "9,2"};
    char why[512];
    ck_assert(override_apply(s, &o, why, sizeof(why)));
    ck_assert(s->faults == 1 && s->fault[0].number == 5);
    static const char *const wrong[] = {"2", "x", ",", "5,,", "5x", "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct scenario copy = *s;
        o.without = wrong[i];
        ck_assert_msg(!override_apply(&copy, &o, why, sizeof(why)), "%s", wrong[i]);
        ck_assert_ptr_nonnull(strstr(why, "--without"));
    }
    free(s);
}
END_TEST

START_TEST(what_is_too_large_for_memory_is_told)
{
    struct scenario *s = good("peers a count=10000\n");
    char why[512];
    uint64_t needed = room_needed(s);
    ck_assert(needed > (uint64_t)50 << 20);
    ck_assert(!room_lacks(s, needed, why, sizeof(why)));
    ck_assert(!room_lacks(s, 0, why, sizeof(why))); /* unknown */
    ck_assert(room_lacks(s, needed / 2, why, sizeof(why)));
    char mib[32];
    (void)snprintf(mib, sizeof(mib), "%" PRIu64 " MiB", needed >> 20);
    ck_assert_msg(strstr(why, mib) != NULL, "%s", why);
    (void)snprintf(mib, sizeof(mib), "%" PRIu64 " MiB", needed / 2 >> 20);
    ck_assert_msg(strstr(why, mib) != NULL, "%s", why);
    ck_assert_ptr_nonnull(strstr(why, "lower count="));
    s->group[0].count *= 2;
    ck_assert_uint_gt(room_needed(s), needed * 19 / 10);
    ck_assert_uint_gt(room_available(), 0);
    free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sim override");
    TCase *t = tcase_create("override");
    suite_add_tcase(suite, t);
    tcase_add_test(t, flags_prevail);
    tcase_add_test(t, crashes_become_faults);
    tcase_add_test(t, faults_are_left_out_by_number);
    tcase_add_test(t, what_is_too_large_for_memory_is_told);
    return test_run(suite);
}
