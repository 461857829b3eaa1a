/* Known addresses and banned identities: whom to dial, whom never again.
 *
 * Eclipse rules: addresses come from four kinds of sources; dials are spread so that links come
 * from at least two kinds, at most two per IPv4 /24 or IPv6 /64 outside the LAN (loopback and
 * link-local and LAN-announced addresses are exempt), and configured verify nodes always have a
 * place.  A failed dial backs off 2, 4, .. 300 s.  When full, the address that failed most and is
 * not configured makes room. */
#pragma once

#include "fwswarm/core.h"

enum known_source { KNOWN_CONFIGURED = 1, KNOWN_TRACKER = 2, KNOWN_PEER = 4, KNOWN_LAN = 8 };

struct known_entry {
    struct addr addr;
    uint8_t sources; /* bits of enum known_source */
    bool verify;     /* a verify node's address */
    bool dialling, linked;
    bool self; /* a dial showed that this is us: never again */
    uint8_t failures;
    usec next_dial;
    uint32_t group;      /* /24 or /64, hashed; 0 = exempt */
    uint32_t group_used; /* links and dials of that group */
};
struct known {
    struct known_entry *entry;
    uint32_t count, cap;
    uint32_t want_verify; /* of the last known_next() */
    uint32_t verify_used; /* links to verify nodes and dials of them */
    bool only_verify;     /* the caller's: nobody else is dialled now */
};
/* Entries lie in caller memory: cap of them. */
void known_init(struct known *k, struct known_entry *mem, uint32_t cap);
/* Adds or merges; returns the entry or NULL when there is no room or addr has no port. */
struct known_entry *known_add(struct known *k, const struct addr *addr, enum known_source source,
                              bool verify, usec now);
struct known_entry *known_find(struct known *k, const struct addr *addr);
/* The best address to dial now, or NULL; its dialling flag is then set.  Verify nodes first while
 * fewer than want_verify are linked or dialling, then the least failed of the least used source.
 * No verify node beyond want_verify: their uplinks are for the whole fleet. */
struct known_entry *known_next(struct known *k, usec now, uint32_t want_verify, struct rng *rng);
void known_up(struct known *k, struct known_entry *e);
/* A link that was up ended, or a dial failed (failed = true: back off). */
void known_down(struct known *k, struct known_entry *e, bool failed, usec now, struct rng *rng);
/* Earliest next_dial among entries that known_next() could return, or USEC_NEVER: later than now
 * when it has just returned NULL. */
usec known_deadline(const struct known *k);

struct ban {
    struct key who;
    usec until; /* 0 = free place */
};
struct bans {
    struct ban *ban;
    uint32_t cap;
};
/* mem: cap of them, all zeros. */
void bans_init(struct bans *b, struct ban *mem, uint32_t cap);
/* Keeps the longest; when full the one that ends first makes room.  Returns its index. */
uint32_t bans_add(struct bans *b, const struct key *who, usec until);
bool bans_has(const struct bans *b, const struct key *who, usec now);
uint32_t bans_count(const struct bans *b, usec now);
