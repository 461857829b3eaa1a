/* Known addresses and banned identities.
 *
 * Both are plain arrays, a few hundred entries long, searched from end to end: they are touched
 * when a link comes or goes, not for each message.  What known_next() may return and when
 * known_deadline() says to ask again follow from one test, may_dial(), so that a caller that sleeps
 * until the deadline never spins. */
#include "swarm/known.h"

#include <assert.h>
#include <string.h>

#define GROUP_LINKS_MAX 2u
#define BACKOFF_MIN     (2 * SEC)
#define BACKOFF_MAX     (300 * SEC)
#define BACKOFF_VERIFY  (40 * SEC) /* one that is busy admits again soon */
#define SOURCES         4u

/* ---- groups ---- */

static bool addr_is_near(const struct addr *a)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    if (a->family == 4)
        return a->ip[0] == 127 || (a->ip[0] == 169 && a->ip[1] == 254);
    return memcmp(a->ip, loopback6, sizeof loopback6) == 0 ||
           (a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80);
}

/* FNV-1a over the /24 or /64.  Two groups that collide only share a limit. */
static uint32_t group_of(const struct addr *a)
{
    uint32_t h = (2166136261u ^ a->family) * 16777619u;
    for (uint32_t i = 0; i < (a->family == 4 ? 3u : 8u); i++)
        h = (h ^ a->ip[i]) * 16777619u;
    return h != 0 ? h : 1;
}

static bool in_use(const struct known_entry *e)
{
    return e->linked || e->dialling;
}

/* Counts again what is in use in e's group and of verify nodes, after e changed. */
static void count_used(struct known *k, uint32_t group)
{
    uint32_t n = 0;
    k->verify_used = 0;
    for (uint32_t i = 0; i < k->count; i++) {
        if (!in_use(&k->entry[i]))
            continue;
        k->verify_used += k->entry[i].verify;
        n += k->entry[i].group == group;
    }
    for (uint32_t i = 0; i < k->count && group != 0; i++)
        if (k->entry[i].group == group)
            k->entry[i].group_used = n;
}

/* Could it be dialled if its time had come?  A configured verify node has its place in any group.
 */
static bool may_dial(const struct known *k, const struct known_entry *e)
{
    if (in_use(e) || e->self || (k->only_verify && !e->verify))
        return false;
    if (e->verify && k->verify_used >= k->want_verify)
        return false;
    if (e->group == 0 || (e->verify && (e->sources & KNOWN_CONFIGURED)))
        return true;
    return e->group_used < GROUP_LINKS_MAX;
}

/* ---- the array ---- */

void known_init(struct known *k, struct known_entry *mem, uint32_t cap)
{
    *k = (struct known){.entry = mem, .cap = cap};
}

struct known_entry *known_find(struct known *k, const struct addr *addr)
{
    for (uint32_t i = 0; i < k->count; i++)
        if (addr_equal(&k->entry[i].addr, addr))
            return &k->entry[i];
    return NULL;
}

/* Room for one more: a free place, else the one that failed most.  Addresses that never failed
 * stay, so that a flood of new ones cannot wash out the good; only a configured one displaces any.
 */
static struct known_entry *make_room(struct known *k, enum known_source source)
{
    if (k->count < k->cap)
        return &k->entry[k->count++];
    struct known_entry *worst = NULL;
    for (uint32_t i = 0; i < k->count; i++) {
        struct known_entry *e = &k->entry[i];
        if ((e->sources & KNOWN_CONFIGURED) || in_use(e) || e->self)
            continue;
        if (e->failures == 0 && source != KNOWN_CONFIGURED)
            continue;
        if (worst == NULL || e->failures > worst->failures)
            worst = e;
    }
    return worst;
}

struct known_entry *known_add(struct known *k, const struct addr *addr, enum known_source source,
                              bool verify, usec now)
{
    if ((addr->family != 4 && addr->family != 6) || addr->port == 0)
        return NULL;
    struct known_entry *e = known_find(k, addr);
    if (e == NULL) {
        e = make_room(k, source);
        if (e == NULL)
            return NULL;
        *e = (struct known_entry){.addr = *addr, .next_dial = now};
        e->group = addr_is_near(addr) ? 0 : group_of(addr);
    }
    uint32_t group = e->group;
    e->sources = (uint8_t)(e->sources | source);
    e->verify |= verify;
    if (source == KNOWN_LAN)
        e->group = 0;
    count_used(k, group);
    return e;
}

/* ---- dialling ---- */

/* Links of the least used of an entry's sources. */
static uint32_t source_links(const uint32_t used[SOURCES], uint8_t sources)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t s = 0; s < SOURCES; s++)
        if ((sources & 1u << s) && used[s] < least)
            least = used[s];
    return least;
}

static void count_sources(const struct known *k, uint32_t used[SOURCES])
{
    for (uint32_t s = 0; s < SOURCES; s++) {
        used[s] = 0;
        for (uint32_t i = 0; i < k->count; i++)
            used[s] += in_use(&k->entry[i]) && (k->entry[i].sources & 1u << s);
    }
}

struct known_entry *known_next(struct known *k, usec now, uint32_t want_verify, struct rng *rng)
{
    uint32_t used[SOURCES], ties = 0;
    uint64_t best = UINT64_MAX;
    struct known_entry *chosen = NULL;
    k->want_verify = want_verify;
    count_sources(k, used);
    for (uint32_t i = 0; i < k->count; i++) {
        struct known_entry *e = &k->entry[i];
        if (e->next_dial > now || !may_dial(k, e))
            continue;
        /* Verify nodes at random among the least failed, so that not all ask the same ones. */
        uint64_t rank = e->verify ? e->failures
                                  : UINT64_C(1) << 63 |
                                        (uint64_t)source_links(used, e->sources) << 8 | e->failures;
        if (rank > best)
            continue;
        ties = rank < best ? 1 : ties + 1;
        best = rank;
        if (rng_below(rng, ties) == 0)
            chosen = e;
    }
    if (chosen != NULL) {
        chosen->dialling = true;
        count_used(k, chosen->group);
    }
    return chosen;
}

void known_up(struct known *k, struct known_entry *e)
{
    assert(e >= k->entry && e < k->entry + k->count);
    e->dialling = false;
    e->linked = true;
    e->failures = 0;
    count_used(k, e->group);
}

void known_down(struct known *k, struct known_entry *e, bool failed, usec now, struct rng *rng)
{
    assert(e >= k->entry && e < k->entry + k->count);
    e->dialling = false;
    e->linked = false;
    count_used(k, e->group);
    usec wait = SEC;
    if (failed) {
        if (e->failures < UINT8_MAX)
            e->failures++;
        usec most = e->verify ? BACKOFF_VERIFY : BACKOFF_MAX;
        wait = e->failures < 8 ? BACKOFF_MIN << (e->failures - 1) : most;
        if (wait > most)
            wait = most;
    }
    /* Up to a quarter more, so that a fleet that lost one node does not come back in step. */
    e->next_dial = now + wait + rng_below(rng, (uint32_t)(wait / 4));
}

usec known_deadline(const struct known *k)
{
    usec first = USEC_NEVER;
    for (uint32_t i = 0; i < k->count; i++) {
        const struct known_entry *e = &k->entry[i];
        if (e->next_dial < first && may_dial(k, e))
            first = e->next_dial;
    }
    return first;
}

/* ---- bans ---- */

void bans_init(struct bans *b, struct ban *mem, uint32_t cap)
{
    assert(cap > 0);
    *b = (struct bans){.ban = mem, .cap = cap};
}

uint32_t bans_add(struct bans *b, const struct key *who, usec until)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < b->cap; i++) {
        struct ban *ban = &b->ban[i];
        if (ban->until != 0 && key_equal(&ban->who, who)) {
            if (ban->until < until)
                ban->until = until;
            return i;
        }
        if (ban->until < b->ban[at].until)
            at = i;
    }
    b->ban[at] = (struct ban){.who = *who, .until = until};
    return at;
}

bool bans_has(const struct bans *b, const struct key *who, usec now)
{
    for (uint32_t i = 0; i < b->cap; i++)
        if (b->ban[i].until > now && key_equal(&b->ban[i].who, who))
            return true;
    return false;
}

uint32_t bans_count(const struct bans *b, usec now)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->cap; i++)
        n += b->ban[i].until > now;
    return n;
}
