/* A small fleet for tests: deterministic keys by number, a root of them, and signed objects.  Used
 * by unit tests and fuzz targets; everything is static because each is one program. */
#pragma once

#include "fwswarm/manifest.h"
#include "fwswarm/trust.h"

#include <assert.h>
#include <string.h>

static inline void test_ok(enum err e)
{
    assert(e == E_OK);
}

/* Key numbers by kind, so that tests can say who signs. */
enum test_key {
    KEY_ROOT = 0,      /* .. 9 */
    KEY_RELEASE = 10,  /* .. 19 */
    KEY_PUBLISH = 20,  /* .. 29 */
    KEY_ENROL = 30,    /* .. 39 */
    KEY_VERIFY = 40,   /* .. 79 */
    KEY_STRANGER = 90, /* .. 99: never listed */
    KEY_NODE = 100,
};

static inline struct signer test_signer(uint32_t number)
{
    uint8_t seed[32] = {0};
    struct signer s;
    seed[0] = (uint8_t)number;
    seed[1] = (uint8_t)(number >> 8);
    memset(seed + 2, 0x5a, 30);
    signer_from_seed(&s, seed);
    return s;
}

static inline struct key test_pub(uint32_t number)
{
    return test_signer(number).pub;
}

static inline struct key_set test_set(uint32_t first, uint32_t count, uint32_t threshold)
{
    struct key_set s = {.count = count, .threshold = threshold};
    for (uint32_t i = 0; i < count; i++)
        s.key[i] = test_pub(first + i);
    return s;
}

/* Version 1: 2 of 3 root keys, 2 of 3 release keys, 1 publisher, 2 enrolment keys (either signs
 * lists), 4 verify nodes with indices 1 to 4. */
static inline struct root test_root(void)
{
    struct root r = {.version = 1};
    memset(r.fleet.b, 0xf1, sizeof(r.fleet.b));
    r.root = test_set(KEY_ROOT, 3, 2);
    r.release = test_set(KEY_RELEASE, 3, 2);
    r.publisher = test_set(KEY_PUBLISH, 1, 1);
    r.enrol_count = 2;
    r.enrol_threshold = 1;
    r.enrol[0] = (struct enrol_lease){.key = test_pub(KEY_ENROL), .first = 100, .last = 1099};
    r.enrol[1] = (struct enrol_lease){.key = test_pub(KEY_ENROL + 1), .first = 2000, .last = 2999};
    r.verify_count = 4;
    for (uint32_t i = 0; i < 4; i++) {
        r.verify[i].key = test_pub(KEY_VERIFY + i);
        r.verify[i].index = 1 + i;
    }
    memset(r.audit.b, 0xa0, sizeof(r.audit.b));
    return r;
}

/* A signed object and its room. */
struct test_object {
    uint8_t buf[16384];
    size_t n;
};

static inline struct bytes test_bytes(const struct test_object *o)
{
    return bytes_of(o->buf, o->n);
}

static inline void test_sign_root(struct test_object *o, struct bytes body, const uint32_t *numbers,
                                  uint32_t count)
{
    struct key keys[2 * ROOT_KEYS_MAX + 1];
    struct sig sigs[2 * ROOT_KEYS_MAX + 1];
    for (uint32_t i = 0; i < count; i++) {
        struct signer s = test_signer(numbers[i]);
        keys[i] = s.pub;
        root_sign(&sigs[i], &s, body);
    }
    struct wr w = wr_of(o->buf, sizeof(o->buf));
    test_ok(root_encode(body, keys, sigs, count, &w));
    o->n = wr_len(&w);
}

static inline void test_make_root(struct test_object *o, const struct root *r,
                                  const uint32_t *numbers, uint32_t count)
{
    uint8_t body[ROOT_BYTES_MAX];
    struct wr w = wr_of(body, sizeof(body));
    test_ok(root_encode_body(r, &w));
    test_sign_root(o, wr_done(&w), numbers, count);
}

#define NUMBERS(...) (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4

/* Trust in test_root(). */
static inline struct trust test_trust(void)
{
    struct root r = test_root();
    struct test_object o;
    struct trust t;
    test_make_root(&o, &r, NUMBERS(KEY_ROOT, KEY_ROOT + 1));
    test_ok(trust_init(&t, test_bytes(&o)));
    return t;
}

/* Moves trust to a next root, which both thresholds sign (root keys 0 and 1 stay). */
static inline void test_advance(struct trust *t, const struct root *next)
{
    struct test_object o;
    test_make_root(&o, next, NUMBERS(KEY_ROOT, KEY_ROOT + 1));
    test_ok(trust_advance(t, test_bytes(&o)));
}
