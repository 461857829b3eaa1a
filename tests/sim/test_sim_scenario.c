/* Scenarios: what is read from text, what is refused and in which words, and that what is written
 * reads back as the same. */
#include "scenario.h"
#include "scenario_table.h"
#include "unit/run.h"
#include "units.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536u

static bool read_text(struct scenario *s, const char *text, uint32_t *line, char why[512])
{
    *line = 0;
    why[0] = '\0';
    return scenario_read(s, text, strlen(text), line, why, 512);
}

static struct scenario *good(const char *text)
{
    struct scenario *s = sim_alloc(1, sizeof(*s));
    uint32_t line;
    char why[512];
    bool ok = read_text(s, text, &line, why);
    ck_assert_msg(ok, "line %u: %s\n%s", line, why, text);
    ck_assert(!scenario_wrong(s, why, sizeof(why)));
    return s;
}

/* ---- units ---- */

START_TEST(units_are_read_exactly)
{
    uint64_t v = 0;
    ck_assert(units_rate(&v, "10Mbit") && v == 1250000);
    ck_assert(units_rate(&v, "1.5Mbit") && v == 187500);
    ck_assert(units_rate(&v, "64kbit") && v == 8000);
    ck_assert(units_rate(&v, "1Gbit") && v == 125000000);
    ck_assert(units_size(&v, "16MiB") && v == 16u << 20);
    ck_assert(units_size(&v, "1.5KiB") && v == 1536);
    ck_assert(units_size(&v, "12345") && v == 12345);
    ck_assert(units_time(&v, "20") && v == 20000);
    ck_assert(units_time(&v, "0.25") && v == 250);
    ck_assert(units_time(&v, "0") && v == 0);
    ck_assert(units_time(&v, "1.5s") && v == 1500000);
    ck_assert(units_time(&v, "10min") && v == 600 * SEC);
    ck_assert(units_time(&v, "2h") && v == 7200 * SEC);
    ck_assert(units_time(&v, "1h30min") && v == 5400 * SEC);
    ck_assert(units_count(&v, "50", 1, 100) && v == 50);
    ck_assert(units_count(&v, "18446744073709551615", 0, UINT64_MAX) && v == UINT64_MAX);
    ck_assert(units_share(&v, "5%") && v == 50);
    ck_assert(units_share(&v, "0.5%") && v == 5);
    ck_assert(units_share(&v, "100%") && v == 1000);
    ck_assert(units_share(&v, "50") && v == 50);
    ck_assert(units_share(&v, "0") && v == 0);
}
END_TEST

START_TEST(units_refuse_the_rest)
{
    static const char *const no_rate[] = {"10", "Mbit", "-1Mbit", "10Mb", "", "1e3Mbit", "1.Mbit"};
    static const char *const no_size[] = {
        "MiB", "1.MiB", "-1", "", "99999999999999999999", "17179869184GiB", "1xB"};
    static const char *const no_time[] = {"",      "s",     "-1",  "5 parsecs",
                                          "1.2.3", "20ms5", "1s ", "99999999999999999999"};
    static const char *const no_share[] = {"",    "%",   "101%", "1001",   "5.%",   "5.05%",
                                           "5%%", "-5%", "0.5",  "99999%", "100.1%"};
    static const char *const no_count[] = {"", "101", "1.5", "5x", "-1", "18446744073709551616"};
    uint64_t v = 42;
    for (size_t i = 0; i < sizeof(no_rate) / sizeof(*no_rate); i++)
        ck_assert_msg(!units_rate(&v, no_rate[i]), "%s", no_rate[i]);
    for (size_t i = 0; i < sizeof(no_size) / sizeof(*no_size); i++)
        ck_assert_msg(!units_size(&v, no_size[i]), "%s", no_size[i]);
    for (size_t i = 0; i < sizeof(no_time) / sizeof(*no_time); i++)
        ck_assert_msg(!units_time(&v, no_time[i]), "%s", no_time[i]);
    for (size_t i = 0; i < sizeof(no_share) / sizeof(*no_share); i++)
        ck_assert_msg(!units_share(&v, no_share[i]), "%s", no_share[i]);
    for (size_t i = 0; i < sizeof(no_count) / sizeof(*no_count); i++)
        ck_assert_msg(!units_count(&v, no_count[i], 0, 100), "%s", no_count[i]);
    /* Longer than anything that could be meant. */
    char digits[100];
    memset(digits, '1', sizeof(digits) - 1);
    digits[sizeof(digits) - 1] = '\0';
    ck_assert(!units_time(&v, digits));
    ck_assert_uint_eq(v, 42);
}
END_TEST

START_TEST(shares_print_as_they_read)
{
    char text[CONF_NUMBER_TEXT];
    for (uint64_t share = 0; share <= 1000; share++) {
        uint64_t v = 0;
        ck_assert(units_share(&v, units_print_share(text, share)));
        ck_assert_uint_eq(v, share);
    }
}
END_TEST

/* ---- reading ---- */

START_TEST(nothing_is_a_scenario)
{
    struct scenario plain, *s = good("# only a remark\n\n");
    char a[4096], b[4096];
    scenario_default(&plain);
    scenario_write(&plain, a, sizeof(a));
    scenario_write(s, b, sizeof(b));
    ck_assert_str_eq(a, b);
    ck_assert_uint_eq(scenario_nodes(s), 51);
    ck_assert_uint_eq(scenario_devices(s), 50);
    ck_assert_uint_eq(scenario_verify(s), 1);
    free(s);
}
END_TEST

START_TEST(two_lines_are_a_scenario)
{
    struct scenario *s = good("peers tills count=10\nrelease size=4MiB");
    ck_assert_uint_eq(s->groups, 2);
    ck_assert_str_eq(s->group[0].name, "tills");
    ck_assert_str_eq(s->group[1].name, "origin");
    ck_assert(s->group[1].verify);
    ck_assert_uint_eq(scenario_devices(s), 10);
    ck_assert_uint_eq(s->releases, 1);
    ck_assert_uint_eq(s->release[0].size, 4u << 20);
    ck_assert_uint_eq(s->release[0].sequence, 2);
    ck_assert_str_eq(s->release[0].version, "2.0");
    ck_assert_str_eq(s->model[0], "sim");
    free(s);
}
END_TEST

START_TEST(every_field_is_read)
{
    struct scenario *s =
        good("seed 7 # a remark\r\n"
             "until 2h\n"
             "site shop count=20 up=5Mbit down=20Mbit rtt=1 lan\n"
             "verify origin count=2 up=100Mbit down=200Mbit rtt=40ms join=1s\n"
             "\tpeers   tills count=10 up=10Mbit down=50Mbit rtt=40ms site=shop nat model=till "
             "installed=3 tampered join=5s\n"
             "adversary bad garbage count=3 model=till\n"
             "adversary liar lying-verify\n"
             "adversary trap eclipse verify up=1Mbit\n"
             "release model=till version=9.1-rc1 sequence=9 size=16MiB at=500ms stop-at=60s\n"
             "fault 4 crash at=10s lasts=5s group=tills count=3\n"
             "fault partition at=20s lasts=0 site=shop count=2\n"
             "fault 1 loss strength=5%\n"
             "fault churn strength=30s\n"
             "fault clock strength=ahead\n"
             "fault gone count=1\n"
             "keys count=3 threshold=2 stolen=1 rotate-at=5s\n"
             "vendor-gone\n");
    ck_assert_uint_eq(s->seed, 7);
    ck_assert(s->keys.count == 3 && s->keys.threshold == 2 && s->keys.stolen == 1);
    ck_assert_uint_eq(s->keys.rotate_at, 5 * SEC);
    ck_assert_uint_eq(s->until, 7200 * SEC);
    ck_assert(s->vendor_gone);
    const struct scn_site *site = &s->site[0];
    ck_assert_str_eq(site->name, "shop");
    ck_assert_uint_eq(site->count, 20);
    ck_assert_uint_eq(site->up, 625000);
    ck_assert_uint_eq(site->down, 2500000);
    ck_assert_uint_eq(site->rtt, 1000);
    ck_assert(site->lan);
    const struct scn_group *g = &s->group[0];
    ck_assert(g->verify && g->count == 2 && g->up == 12500000 && g->down == 25000000);
    ck_assert_uint_eq(g->join, SEC);
    ck_assert_uint_eq(g->site, NONE);
    g = &s->group[1];
    ck_assert(!g->verify && g->behaviour == BEHAVE_HONEST && g->nat && g->tampered);
    ck_assert_uint_eq(g->site, 0);
    ck_assert_uint_eq(g->installed, 3);
    ck_assert_str_eq(s->model[g->model], "till");
    ck_assert(s->group[2].behaviour == BEHAVE_GARBAGE && !s->group[2].verify);
    ck_assert(s->group[3].behaviour == BEHAVE_LYING_VERIFY && s->group[3].verify);
    ck_assert(s->group[4].behaviour == BEHAVE_ECLIPSE && s->group[4].verify);
    ck_assert_uint_eq(s->group[4].up, 125000);
    ck_assert_uint_eq(s->group[4].down, 12500000);
    const struct scn_release *r = &s->release[0];
    ck_assert_str_eq(r->version, "9.1-rc1");
    ck_assert(r->sequence == 9 && r->at == SEC / 2 && r->withdrawn && r->stop_at == 60 * SEC);
    ck_assert_uint_eq(s->faults, 6);
    const struct scn_fault *f = s->fault;
    ck_assert(f[0].number == 4 && f[0].kind == FAULT_CRASH && f[0].group == 1 && f[0].count == 3);
    ck_assert(f[1].number == 5 && f[1].kind == FAULT_PARTITION && f[1].site == 0);
    ck_assert(f[1].lasts == 0 && f[1].at == 20 * SEC && f[1].group == NONE);
    ck_assert(f[2].number == 1 && f[2].strength == 50 && f[2].count == 0);
    ck_assert(f[3].number == 6 && f[3].strength == 30);
    ck_assert(f[4].strength == 1);
    ck_assert(f[5].kind == FAULT_GONE && f[5].lasts == 0);
    ck_assert_uint_eq(scenario_nodes(s), 2 + 200 + 3 + 1 + 1);
    ck_assert_uint_eq(scenario_devices(s), 200);
    ck_assert_uint_eq(scenario_verify(s), 2);
    free(s);
}
END_TEST

/* Lines may speak of what stands below them, and of what no line describes. */
START_TEST(order_does_not_matter)
{
    struct scenario *s = good("fault crash group=tills\n"
                              "release model=till\n"
                              "peers tills site=shop model=till\n"
                              "site shop\n");
    ck_assert_uint_eq(s->fault[0].group, 0);
    ck_assert_uint_eq(s->group[0].site, 0);
    free(s);
    s = good("fault crash group=devices\nfault stall group=origin\n");
    ck_assert_str_eq(s->group[s->fault[0].group].name, "devices");
    ck_assert(s->group[s->fault[1].group].verify);
    free(s);
}
END_TEST

/* What a release is when its line does not say: newer than all that is installed and released. */
START_TEST(releases_follow_what_is_there)
{
    struct scenario *s = good("peers a model=x installed=5\npeers b model=y\n"
                              "release model=x\nrelease model=x at=5s\nrelease model=y\n"
                              "release model=x sequence=20 version=z at=9s\n");
    ck_assert_uint_eq(s->release[0].sequence, 6);
    ck_assert_str_eq(s->release[0].version, "6.0");
    ck_assert_uint_eq(s->release[1].sequence, 7);
    ck_assert_uint_eq(s->release[2].sequence, 2);
    ck_assert_uint_eq(s->release[3].sequence, 20);
    free(s);
    /* One for each model where no line says any. */
    s = good("peers a model=x\npeers b model=y installed=7\n");
    ck_assert_uint_eq(s->releases, 2);
    ck_assert(s->release[0].model == 0 && s->release[1].model == 1);
    ck_assert_uint_eq(s->release[1].sequence, 8);
    free(s);
}
END_TEST

/* ---- refusing ---- */

struct bad {
    const char *text;
    uint32_t line;
    const char *what, *mend; /* both are in the message */
};

static const struct bad bad_words[] = {
    {"seed 1\npear tills\n", 2, "no statement pear", "did you mean peers?"},
    {"xyzzyxyzzy\n", 1, "no statement xyzzyxyzzy", "one of: seed, until"},
    {"peers a cuont=5\n", 1, "no field cuont", "did you mean count?"},
    {"peers a zzz=5\n", 1, "no field zzz", "count, up, down"},
    {"site a nat\n", 1, "no field nat", "rtt"},
    {"\n\nadversary a garbge\n", 3, "no behaviour garbge", "did you mean garbage?"},
    {"adversary a honest\n", 1, "no behaviour honest", "slow-loris"},
    {"adversary a\n", 1, "no behaviour", "garbage"},
    {"fault crsh\n", 1, "no fault crsh", "did you mean crash?"},
    {"fault 7\n", 1, "no fault", "site-crash"},
    {"peers a site=shpo\nsite shop\n", 1, "no site shpo", "did you mean shop?"},
    {"peers a site=shop\n", 1, "no site shop", "nor any other"},
    {"peers tills\nfault crash group=till\n", 2, "no group till", "did you mean tills?"},
    {"peers tills\nfault crash site=tills\n", 2, "no site tills", "nor any other"},
    {"peers a model=till\nrelease model=tell\n", 2, "no model tell", "did you mean till?"},
    {"peers a model=till\npeers b model=tlil\nrelease model=till\n", 2, "no release for model tlil",
     "add \"release model=tlil\""},
    {"peers\n", 1, "needs a name", "peers NAME"},
    {"peers count=5\n", 1, "needs a name", "peers NAME"},
    {"site a/b\n", 1, "a/b is no name", "A-Z"},
    {"site 12345678901234567890123456789012\n", 1, "no name for a site", "1 to 31"},
    {"model a\nmodel c b\n", 2, "b is one word too many", "one statement a line"},
    {"seed 1 2\n", 1, "2 is one word too many", "one statement"},
    {"vendor-gone now\n", 1, "now is one word too many", "one statement"},
    {"peers a\x01\n", 1, "control character (1)", "plain text"},
    {"peers a x\x7f\n", 1, "control character (127)", "plain text"},
};

static const struct bad bad_twice[] = {
    {"seed 1\n\nseed 2\n", 3, "seed is given twice", "keep one"},
    {"until 1h\nuntil 1h\n", 2, "until is given twice", "keep one"},
    {"vendor-gone\nvendor-gone\n", 2, "vendor-gone is given twice", "keep one"},
    {"site a\nsite a\n", 2, "a site a already", "own name"},
    {"peers a\nverify a\n", 2, "a group a already", "own name"},
    {"peers a\nadversary a garbage\n", 2, "a group a already", "own name"},
    {"adversary origin garbage\n", 0, "a group origin already", "own name"},
    {"model a\nmodel a\n", 2, "a model a already", "name it once"},
    {"keys count=2\nkeys count=2\n", 2, "keys are given twice", "keep one"},
    {"peers a count=5 count=6\n", 1, "count is given twice", "keep one"},
    {"peers a nat nat\n", 1, "nat is given twice", "keep one"},
    {"fault 1 crash\nfault 1 stall\n", 2, "a fault 1 already", "own number"},
    {"release sequence=4\nrelease sequence=4\n", 2, "sequence=4 is that of 4.0", "own"},
    {"release version=a\nrelease version=a\n", 2, "a version a", "own"},
};

static const struct bad bad_values[] = {
    {"peers a count=0\n", 1, "count=0 is out of range", "write 1 to 60000"},
    {"peers a count=60001\n", 1, "count=60001 is out of range", "write 1 to 60000"},
    {"peers a count=18446744073709551616\n", 1, "count=18446744073709551616", "whole number"},
    {"peers a count=-1\n", 1, "count=-1 is not understood", "whole number"},
    {"peers a count\n", 1, "count needs a value", "count=VALUE"},
    {"peers a count = 5\n", 1, "count needs a value", "without blanks"},
    {"peers a count=\n", 1, "count needs a value", "count=VALUE"},
    {"peers a up=10\n", 1, "up=10 is not understood", "64kbit or 10Mbit"},
    {"peers a up=0Mbit\n", 1, "up=0Mbit is out of range", "8kbit to 1000Gbit"},
    {"peers a up=7kbit\n", 1, "up=7kbit is out of range", "8kbit to 1000Gbit"},
    {"peers a down=1001Gbit\n", 1, "down=1001Gbit is out of range", "8kbit to 1000Gbit"},
    {"site a up=1bit\n", 1, "up=1bit is out of range", "or 0"},
    {"peers a rtt=61s\n", 1, "rtt=61s is out of range", "to 1min"},
    {"peers a rtt=fast\n", 1, "rtt=fast is not understood", "20ms"},
    {"peers a join=366d\n", 1, "join=366d is out of range", "365d"},
    {"peers a nat=yes\n", 1, "nat takes no value", "alone"},
    {"verify a nat\n", 1, "nat is for devices", "leave it out"},
    {"verify a model=x\nmodel x\n", 1, "model is for devices", "leave it out"},
    {"verify a installed=1\n", 1, "installed is for devices", "leave it out"},
    {"adversary a lying-verify tampered\n", 1, "tampered is for devices", "leave it out"},
    {"peers a tampered installed=0\n", 1, "tampered needs installed=N", "sequence"},
    {"release size=0\n", 1, "size=0 is out of range", "write 1B"},
    {"release size=70000GiB\n", 1, "size=70000GiB is out of range", "to "},
    {"release size=65GiB\n", 1, "size=65GiB is more than a device takes", "at most 64GiB"},
    {"release sequence=0\n", 1, "sequence=0 is out of range", "write 1 to"},
    {"release version=a/b\n", 1, "version=a/b is not understood", "A-Z"},
    {"release at=5s stop-at=5s\n", 1, "stop-at", "after at"},
    {"keys count=2 threshold=3\n", 1, "keys: there are 2", "lower threshold="},
    {"keys stolen=2\n", 1, "keys: there are 1", "raise count="},
    {"keys rotate-at=366d\n", 1, "rotate-at=366d is out of range", "365d"},
    {"seed\n", 1, "seed", "seed 7"},
    {"seed x\n", 1, "seed x is not understood", "seed 7"},
    {"seed 18446744073709551616\n", 1, "not understood", "seed 7"},
    {"until 90\n", 1, "until 90 is not understood", "with its unit"},
    {"until 0s\n", 1, "until 0s", "with its unit"},
    {"until 400d\n", 1, "until 400d", "365d"},
    {"fault 0 crash\n", 1, "fault 0", "count from 1"},
    {"fault 4294967296 crash\n", 1, "fault 4294967296", "count from 1"},
};

static const struct bad bad_faults[] = {
    {"fault crash strength=5\n", 1, "crash has no strength", "leave it out"},
    {"fault loss strength=0\n", 1, "strength=0 is not understood", "0.1% to 100%"},
    {"fault loss strength=101%\n", 1, "strength=101%", "0.1% to 100%"},
    {"fault slow strength=100%\n", 1, "strength=100%", "0.1% to 99.9%"},
    {"fault churn strength=1500ms\n", 1, "strength=1500ms", "1s to 1d"},
    {"fault clock strength=1\n", 1, "strength=1", "1970 or ahead"},
    {"fault slow-disk strength=1\n", 1, "strength=1", "2 to"},
    {"fault break strength=4294967297\n", 1, "strength=4294967297", "1 to 6000"},
    {"peers a\nsite s\nfault crash group=a site=s\n", 3, "group= or site=", "not both"},
    {"\nfault site-crash\n", 2, "site-crash needs", "site=NAME"},
    {"fault gone lasts=5s\n", 1, "does not come back", "leave out lasts"},
    {"peers a count=3\nfault crash group=a count=4\n", 2, "count=4, and there are 3", "lower it"},
    {"site s count=2\npeers a count=3 site=s\nfault site-crash site=s count=3\n", 3,
     "count=3, and there are 2", "lower it"},
    {"site s count=2\npeers a count=3 site=s\nfault crash site=s count=7\n", 3,
     "count=7, and there are 6", "lower it"},
    {"peers a count=5\nfault crash count=6\n", 2, "count=6, and there are 5", "lower it"},
};

static const struct bad bad_sums[] = {
    {"peers a count=40000\npeers b count=30000\n", 2, "70000 nodes", "lower count="},
    {"site s count=50000\npeers a count=50000 site=s\n", 2, "2500000000 nodes", "lower count="},
    {"verify a count=33\n", 1, "33 verify nodes", "at most 32"},
    {"verify a count=32\nadversary b stale verify\n", 2, "33 verify nodes", "at most 32"},
    {"peers a model=x\npeers b model=y\npeers c\n", 3, "which model?", "write model=x"},
    {"peers a model=x\npeers b model=y\nrelease\n", 3, "which model", "write model=x"},
};

static void refuse_all(const struct bad *bad, size_t count)
{
    struct scenario *s = sim_alloc(1, sizeof(*s));
    for (size_t i = 0; i < count; i++) {
        uint32_t line;
        char why[512];
        ck_assert_msg(!read_text(s, bad[i].text, &line, why), "taken: %s", bad[i].text);
        ck_assert_msg(line == bad[i].line, "%s: line %u, not %u: %s", bad[i].text, line,
                      bad[i].line, why);
        ck_assert_msg(strstr(why, bad[i].what) != NULL, "%s: no \"%s\" in: %s", bad[i].text,
                      bad[i].what, why);
        ck_assert_msg(strstr(why, bad[i].mend) != NULL, "%s: no \"%s\" in: %s", bad[i].text,
                      bad[i].mend, why);
        ck_assert_msg(strchr(why, '\n') == NULL, "%s", why);
    }
    free(s);
}

START_TEST(mistakes_are_named_with_their_line)
{
    refuse_all(bad_words, sizeof(bad_words) / sizeof(*bad_words));
    refuse_all(bad_twice, sizeof(bad_twice) / sizeof(*bad_twice));
    refuse_all(bad_values, sizeof(bad_values) / sizeof(*bad_values));
    refuse_all(bad_faults, sizeof(bad_faults) / sizeof(*bad_faults));
    refuse_all(bad_sums, sizeof(bad_sums) / sizeof(*bad_sums));
}
END_TEST

/* A word too long for any value is told by its beginning, and no byte of it reaches a terminal. */
START_TEST(what_is_shown_is_harmless)
{
    struct scenario *s = sim_alloc(1, sizeof(*s));
    char text[300] = "seed ", why[512];
    uint32_t line;
    memset(text + 5, 'x', 200);
    ck_assert(!read_text(s, text, &line, why));
    ck_assert_ptr_nonnull(strstr(why, "more than 80 letters"));
    ck_assert(!read_text(s, "peers \xc2\x9b", &line, why));
    ck_assert_ptr_null(strchr(why, '\x9b'));
    ck_assert(!read_text(s, "seed \xff\xfe", &line, why));
    ck_assert_ptr_null(strchr(why, '\xff'));
    ck_assert(!scenario_read(s, "peers a\0b", 9, &line, why, sizeof(why)));
    ck_assert_ptr_nonnull(strstr(why, "control character (0)"));
    /* A short buffer cuts the message and no more. */
    char small[8];
    ck_assert(!scenario_read(s, "pear", 4, &line, small, sizeof(small)));
    ck_assert_uint_eq(strlen(small), sizeof(small) - 1);
    free(s);
}
END_TEST

/* ---- caps ---- */

/* `count` lines as fmt makes them, each "@" its number. */
static char *lines(const char *before, const char *fmt, uint32_t count)
{
    char *text = sim_alloc(1, TEXT_MAX);
    size_t n = (size_t)snprintf(text, TEXT_MAX, "%s", before);
    for (uint32_t i = 1; i <= count; i++) {
        for (const char *p = fmt; *p != '\0'; p++)
            n += (size_t)(*p == '@' ? snprintf(text + n, TEXT_MAX - n, "%u", i)
                                    : snprintf(text + n, TEXT_MAX - n, "%c", *p));
        n += (size_t)snprintf(text + n, TEXT_MAX - n, "\n");
    }
    ck_assert_uint_lt(n, TEXT_MAX);
    return text;
}

static void fill(const char *before, const char *fmt, uint32_t most, uint32_t line,
                 const char *word)
{
    char why[512], *text = lines(before, fmt, most);
    uint32_t at;
    struct scenario *s = good(text);
    free(text);
    text = lines(before, fmt, most + 1);
    ck_assert(!read_text(s, text, &at, why));
    ck_assert_msg(at == line, "%u: %s", at, why);
    ck_assert_msg(strstr(why, "too many") != NULL && strstr(why, word) != NULL, "%s", why);
    free(text);
    free(s);
}

START_TEST(every_cap_is_filled_and_no_more)
{
    fill("", "site s@", SCN_SITES, SCN_SITES + 1, "16 lines are the most");
    fill("verify v\n", "peers p@ count=1", SCN_GROUPS - 1, SCN_GROUPS + 1, "32 are the most");
}
END_TEST

START_TEST(caps_of_models_releases_and_faults)
{
    fill("peers p model=m1\n", "model m@", SCN_MODELS, SCN_MODELS + 2, "8 are the most");
    fill("peers p0 count=1 model=m1\n", "peers p@ count=1 model=m@", SCN_MODELS, SCN_MODELS + 2,
         "8 are the most");
    fill("", "release version=v@", SCN_RELEASES, SCN_RELEASES + 1, "16 are the most");
    fill("", "fault @ crash", SCN_FAULTS, SCN_FAULTS + 1, "64 are the most");
    /* Groups that no line describes need room as well. */
    struct scenario *s = sim_alloc(1, sizeof(*s));
    char why[512], *text = lines("", "peers p@ count=1", SCN_GROUPS);
    uint32_t line;
    ck_assert(!read_text(s, text, &line, why));
    ck_assert_ptr_nonnull(strstr(why, "no group is left for a verify node"));
    free(text);
    /* The number behind the largest is none. */
    ck_assert(!read_text(s, "fault 4294967295 crash\nfault crash\n", &line, why));
    ck_assert_uint_eq(line, 2);
    free(s);
}
END_TEST

START_TEST(names_are_as_long_as_they_may_be)
{
    char text[512];
    const char *name = "abcdefghijklmnopqrstuvwxyz01234",
               *long_name = /* 31; 64 */
               "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ._";
    ck_assert_uint_eq(strlen(name), SCN_NAME);
    ck_assert_uint_eq(strlen(long_name), MODEL_MAX);
    (void)snprintf(text, sizeof(text), "site %s\npeers %s site=%s model=%s\nrelease version=%s",
                   name, name, name, long_name, long_name);
    struct scenario *s = good(text);
    ck_assert_str_eq(s->site[0].name, name);
    ck_assert_str_eq(s->group[0].name, name);
    ck_assert_str_eq(s->model[0], long_name);
    ck_assert_str_eq(s->release[0].version, long_name);
    free(s);
}
END_TEST

/* ---- writing ---- */

/* Each part alone: padding between members has no meaning. */
static void same_scenario(const struct scenario *a, const struct scenario *b)
{
    ck_assert_uint_eq(a->seed, b->seed);
    ck_assert_uint_eq(a->until, b->until);
    ck_assert_int_eq(a->vendor_gone, b->vendor_gone);
    ck_assert(a->sites == b->sites && a->groups == b->groups && a->models == b->models);
    ck_assert(a->releases == b->releases && a->faults == b->faults);
    ck_assert(a->keys.count == b->keys.count && a->keys.threshold == b->keys.threshold);
    ck_assert(a->keys.stolen == b->keys.stolen && a->keys.rotate_at == b->keys.rotate_at);
    for (uint32_t i = 0; i < a->models; i++)
        ck_assert_str_eq(a->model[i], b->model[i]);
    for (uint32_t i = 0; i < a->sites; i++) {
        const struct scn_site *x = &a->site[i], *y = &b->site[i];
        ck_assert_str_eq(x->name, y->name);
        ck_assert(x->count == y->count && x->up == y->up && x->down == y->down &&
                  x->rtt == y->rtt && x->lan == y->lan);
    }
    for (uint32_t i = 0; i < a->groups; i++) {
        const struct scn_group *x = &a->group[i], *y = &b->group[i];
        ck_assert_str_eq(x->name, y->name);
        ck_assert(x->count == y->count && x->verify == y->verify && x->behaviour == y->behaviour);
        ck_assert(x->up == y->up && x->down == y->down && x->rtt == y->rtt && x->site == y->site);
        ck_assert(x->nat == y->nat && x->model == y->model && x->installed == y->installed);
        ck_assert(x->tampered == y->tampered && x->join == y->join);
    }
    for (uint32_t i = 0; i < a->releases; i++) {
        const struct scn_release *x = &a->release[i], *y = &b->release[i];
        ck_assert_str_eq(x->version, y->version);
        ck_assert(x->model == y->model && x->sequence == y->sequence && x->size == y->size);
        ck_assert(x->at == y->at && x->withdrawn == y->withdrawn && x->stop_at == y->stop_at);
    }
    for (uint32_t i = 0; i < a->faults; i++) {
        const struct scn_fault *x = &a->fault[i], *y = &b->fault[i];
        ck_assert(x->number == y->number && x->kind == y->kind && x->group == y->group);
        ck_assert(x->site == y->site && x->count == y->count && x->at == y->at);
        ck_assert(x->lasts == y->lasts && x->strength == y->strength);
    }
}

static void back_and_forth(const struct scenario *s)
{
    char *first = sim_alloc(1, TEXT_MAX), *second = sim_alloc(1, TEXT_MAX), why[512];
    struct scenario *back = sim_alloc(1, sizeof(*back));
    uint32_t line;
    ck_assert_msg(!scenario_wrong(s, why, sizeof(why)), "%s", why);
    size_t n = scenario_write(s, first, TEXT_MAX);
    ck_assert(n < TEXT_MAX && strlen(first) == n);
    ck_assert_msg(scenario_read(back, first, n, &line, why, sizeof(why)), "%u: %s\n%s", line, why,
                  first);
    same_scenario(s, back);
    scenario_write(back, second, TEXT_MAX);
    ck_assert_str_eq(first, second);
    /* Memory that is too short is not run over, and the length is that of all. */
    memset(second, '#', TEXT_MAX);
    ck_assert_uint_eq(scenario_write(s, second, n / 2), n);
    ck_assert(second[n / 2] == '#' && strlen(second) == n / 2 - 1);
    ck_assert_uint_eq(scenario_write(s, NULL, 0), n);
    free(back);
    free(first);
    free(second);
}

static uint64_t draw(struct rng *r, uint64_t min, uint64_t max)
{
    /* Ends as often as all between. */
    uint32_t how = rng_below(r, 8);
    if (how == 0)
        return min;
    if (how == 1)
        return max;
    return max - min == UINT64_MAX ? rng_u64(r) : min + rng_u64(r) % (max - min + 1);
}

/* Every number of a thing, anywhere in its range. */
static void draw_numbers(struct rng *r, struct scenario *s, enum scn_thing thing, uint32_t i)
{
    for (size_t k = 0; k < scn_line[thing].count; k++) {
        const struct scn_field *f = &scn_line[thing].field[k];
        uint8_t *to = (uint8_t *)scn_at(s, thing, i) + f->at;
        uint64_t v = f->zero && rng_below(r, 4) == 0 ? 0 : draw(r, f->min, f->max);
        uint32_t small = (uint32_t)v;
        if (f->device && s->group[i].verify)
            continue;
        if (f->kind == SCN_U32)
            memcpy(to, &small, sizeof(small));
        else if (f->kind == SCN_U64 || f->kind == SCN_RATE || f->kind == SCN_SIZE ||
                 f->kind == SCN_TIME)
            memcpy(to, &v, sizeof(v));
        else if (f->kind == SCN_FLAG)
            *(bool *)to = rng_below(r, 2) == 1;
    }
}

static void random_scenario(struct scenario *s, uint8_t number)
{
    struct rng r;
    uint8_t seed[32] = {number, 's'};
    rng_init(&r, seed);
    memset(s, 0, sizeof(*s));
    s->seed = draw(&r, 0, UINT64_MAX);
    s->until = draw(&r, 0, SCN_TIME_MAX);
    s->vendor_gone = rng_below(&r, 2) == 1;
    draw_numbers(&r, s, SCN_KEYS, 0);
    s->keys.threshold = rng_below(&r, s->keys.count + 1);
    s->keys.stolen = rng_below(&r, s->keys.count + 1);
    s->sites = rng_below(&r, SCN_SITES + 1);
    s->models = 1 + rng_below(&r, SCN_MODELS);
    s->groups = 2 + rng_below(&r, SCN_GROUPS - 1);
    s->releases = 1 + rng_below(&r, SCN_RELEASES);
    s->faults = rng_below(&r, SCN_FAULTS + 1);
    for (uint32_t i = 0; i < s->models; i++)
        (void)snprintf(s->model[i], sizeof(s->model[i]), "model~%u", i);
    for (uint32_t i = 0; i < s->sites; i++) {
        draw_numbers(&r, s, SCN_SITE, i);
        (void)snprintf(s->site[i].name, sizeof(s->site[i].name), "s+%u", i);
        s->site[i].count = 1 + rng_below(&r, 3);
    }
    for (uint32_t i = 0; i < s->groups; i++) {
        struct scn_group *g = &s->group[i];
        uint32_t b = i < 2 || rng_below(&r, 2) == 0 ? 0 : rng_below(&r, BEHAVE_COUNT);
        g->behaviour = (enum behaviour)b;
        g->verify = i == 0 || b == BEHAVE_LYING_VERIFY || (i > 1 && b > 0 && rng_below(&r, 4) == 0);
        draw_numbers(&r, s, SCN_GROUP, i);
        (void)snprintf(g->name, sizeof(g->name), "g.%u", i);
        g->count = 1 + rng_below(&r, g->verify ? 1 : 500);
        g->model = g->verify ? 0 : rng_below(&r, s->models);
        g->site = g->verify || s->sites == 0 ? NONE : rng_below(&r, s->sites);
        g->tampered = g->tampered && g->installed > 0;
    }
    for (uint32_t i = 0; i < s->releases; i++) {
        struct scn_release *release = &s->release[i];
        draw_numbers(&r, s, SCN_RELEASE, i);
        release->model = rng_below(&r, s->models);
        release->sequence = release->sequence % (UINT64_MAX - 100) / 100 * 100 + i + 1;
        release->size = 1 + release->size % (UINT64_C(64) << 30);
        release->withdrawn = release->at < SCN_TIME_MAX && rng_below(&r, 2) == 1;
        release->stop_at = release->withdrawn ? draw(&r, release->at + 1, SCN_TIME_MAX) : 0;
        (void)snprintf(release->version, sizeof(release->version), "v%u", i);
    }
    for (uint32_t i = 0; i < s->faults; i++) {
        struct scn_fault *f = &s->fault[i];
        draw_numbers(&r, s, SCN_FAULT, i);
        f->kind = (enum fault_kind)rng_below(&r, FAULT_COUNT);
        f->number = i * 2 + 1;
        f->group = rng_below(&r, 2) == 0 ? NONE : rng_below(&r, s->groups);
        f->site = f->group != NONE || s->sites == 0 ? NONE : rng_below(&r, s->sites);
        if (f->kind == FAULT_SITE_CRASH && f->site == NONE)
            f->kind = FAULT_STALL;
        if (f->kind == FAULT_GONE)
            f->lasts = 0;
        f->count = rng_below(&r, 2);
        f->strength = (uint32_t)draw(&r, scn_strength[f->kind].min, scn_strength[f->kind].max);
    }
}

START_TEST(what_is_written_reads_back)
{
    struct scenario *s = sim_alloc(1, sizeof(*s));
    scenario_default(s);
    back_and_forth(s);
    for (uint32_t i = 0; i < 200; i++) {
        random_scenario(s, (uint8_t)i);
        back_and_forth(s);
    }
    for (uint64_t seed = 0; seed < 300; seed++) {
        scenario_draw(s, seed, 5, 80);
        back_and_forth(s);
    }
    free(s);
}
END_TEST

/* ---- the judge of what no text could say ---- */

START_TEST(structures_are_judged_as_well)
{
    struct scenario *s = sim_alloc(1, sizeof(*s));
    char why[512];
    scenario_default(s);
    s->group[1].behaviour = BEHAVE_GARBAGE;
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "no devices") != NULL);
    scenario_default(s);
    s->group[0].behaviour = BEHAVE_LYING_VERIFY;
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "no honest verify") != NULL);
    scenario_default(s);
    s->group[1].behaviour = BEHAVE_LYING_VERIFY;
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "lying-verify") != NULL);
    scenario_default(s);
    s->group[0].nat = true;
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "leave out nat") != NULL);
    scenario_default(s);
    s->group[1].up = 0;
    ck_assert(scenario_wrong(s, why, sizeof(why)));
    ck_assert_str_eq(why, "group devices: up=0 is out of range; write 8kbit to 1000Gbit");
    scenario_default(s);
    s->group[1].site = 0;
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "site 0 is not there") != NULL);
    scenario_default(s);
    s->release[0].model = 1;
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "model 1 is not") != NULL);
    scenario_default(s);
    s->release[0].stop_at = 5;
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "stop-at") != NULL);
    scenario_default(s);
    s->releases = 0;
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "no release") != NULL);
    scenario_default(s);
    s->models = 0;
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "no model") != NULL);
    scenario_default(s);
    s->faults = 1;
    s->fault[0] = (struct scn_fault){.number = 1, .kind = FAULT_LOSS, .group = 9, .site = NONE};
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "target is not") != NULL);
    s->fault[0].group = NONE;
    ck_assert(scenario_wrong(s, why, sizeof(why)) && strstr(why, "strength=0%") != NULL);
    s->fault[0].strength = 1;
    ck_assert(!scenario_wrong(s, why, sizeof(why)));
    free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sim scenario");
    TCase *t = tcase_create("scenario");
    tcase_set_timeout(t, 60);
    suite_add_tcase(suite, t);
    tcase_add_test(t, units_are_read_exactly);
    tcase_add_test(t, units_refuse_the_rest);
    tcase_add_test(t, shares_print_as_they_read);
    tcase_add_test(t, nothing_is_a_scenario);
    tcase_add_test(t, two_lines_are_a_scenario);
    tcase_add_test(t, every_field_is_read);
    tcase_add_test(t, order_does_not_matter);
    tcase_add_test(t, releases_follow_what_is_there);
    tcase_add_test(t, mistakes_are_named_with_their_line);
    tcase_add_test(t, what_is_shown_is_harmless);
    tcase_add_test(t, every_cap_is_filled_and_no_more);
    tcase_add_test(t, caps_of_models_releases_and_faults);
    tcase_add_test(t, names_are_as_long_as_they_may_be);
    tcase_add_test(t, what_is_written_reads_back);
    tcase_add_test(t, structures_are_judged_as_well);
    return test_run(suite);
}
