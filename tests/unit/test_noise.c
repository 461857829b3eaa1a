/* The handshake against published vectors (tests/vectors/noise.txt names their sources), both
 * sides, and what it refuses. */
#include "link/noise.h"

#include <check.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR_MESSAGES 8
#define BYTES_MAX       256

struct blob {
    uint8_t b[BYTES_MAX];
    size_t n;
};

struct vector {
    enum noise_pattern pattern;
    bool initiator_first; /* after the handshake */
    struct blob init_static, resp_static, init_e, resp_e, prologue, psk, hash;
    struct blob payload[VECTOR_MESSAGES], message[VECTOR_MESSAGES];
    int messages;
};

static void blob_set(struct blob *b, const char *hex)
{
    b->n = strlen(hex) / 2;
    ck_assert_uint_le(b->n, sizeof b->b);
    ck_assert(hex_decode(b->b, b->n, hex));
}

static void vector_set(struct vector *v, const char *key, const char *value)
{
    int i;
    char what[16];
    if (strcmp(key, "handshake") == 0) {
        bool plain = strcmp(value, "Noise_XX_25519_ChaChaPoly_SHA256") == 0;
        ck_assert(plain || strcmp(value, "Noise_XXpsk0_25519_ChaChaPoly_SHA256") == 0);
        v->pattern = plain ? NOISE_XX : NOISE_XXPSK0;
    } else if (strcmp(key, "transport") == 0) {
        ck_assert_str_eq(value, "initiator");
        v->initiator_first = true;
    } else if (strcmp(key, "init_static") == 0) {
        blob_set(&v->init_static, value);
    } else if (strcmp(key, "resp_static") == 0) {
        blob_set(&v->resp_static, value);
    } else if (strcmp(key, "gen_init_ephemeral") == 0) {
        blob_set(&v->init_e, value);
    } else if (strcmp(key, "gen_resp_ephemeral") == 0) {
        blob_set(&v->resp_e, value);
    } else if (strcmp(key, "prologue") == 0) {
        blob_set(&v->prologue, value);
    } else if (strcmp(key, "preshared_key") == 0) {
        blob_set(&v->psk, value);
    } else if (strcmp(key, "handshake_hash") == 0) {
        blob_set(&v->hash, value);
    } else {
        ck_assert_int_eq(sscanf(key, "msg_%d_%15s", &i, what), 2);
        ck_assert_int_ge(i, 0);
        ck_assert_int_lt(i, VECTOR_MESSAGES);
        blob_set(strcmp(what, "payload") == 0 ? &v->payload[i] : &v->message[i], value);
        v->messages = i + 1;
    }
}

static void vector_start(const struct vector *v, bool initiator, struct noise *n)
{
    const struct blob *s = initiator ? &v->init_static : &v->resp_static;
    const struct blob *e = initiator ? &v->init_e : &v->resp_e;
    ck_assert_uint_eq(s->n, 32);
    ck_assert_uint_eq(e->n, 32);
    ck_assert_uint_eq(v->psk.n, v->pattern == NOISE_XXPSK0 ? 32 : 0);
    noise_init(n, v->pattern, initiator, bytes_of(v->prologue.b, v->prologue.n), v->psk.b, s->b,
               e->b);
}

/* Writes one message and compares it with the vector, reads it on the other side. */
static void vector_message(const struct vector *v, int i, struct noise *from, struct noise *to)
{
    uint8_t buf[512];
    struct wr w = wr_of(buf, sizeof buf);
    ck_assert_int_eq(noise_write_head(from, &w), E_OK);
    size_t at = wr_len(&w);
    struct digest signed_hash = from->hash;
    wr_copy(&w, v->payload[i].b, v->payload[i].n);
    noise_write_payload(from, &w, at);
    ck_assert_uint_eq(wr_len(&w), v->message[i].n);
    ck_assert_mem_eq(buf, v->message[i].b, v->message[i].n);

    size_t used;
    ck_assert_int_eq(noise_read_head(to, wr_done(&w), &used), E_OK);
    ck_assert_uint_eq(used, at);
    ck_assert(digest_equal(&to->hash, &signed_hash));
    struct bytes payload;
    ck_assert_int_eq(noise_read_payload(to, buf + used, wr_len(&w) - used, &payload), E_OK);
    ck_assert(bytes_equal(payload, bytes_of(v->payload[i].b, v->payload[i].n)));
    ck_assert(digest_equal(&to->hash, &from->hash));
}

static void vector_run(const struct vector *v)
{
    struct noise side[2]; /* 0: initiator */
    vector_start(v, true, &side[0]);
    vector_start(v, false, &side[1]);
    ck_assert_int_ge(v->messages, 5);
    for (int i = 0; i < (int)NOISE_MESSAGES; i++)
        vector_message(v, i, &side[i % 2], &side[1 - i % 2]);
    if (v->hash.n > 0)
        ck_assert_mem_eq(side[0].hash.b, v->hash.b, 32);
    struct noise_cipher send[2], receive[2];
    noise_split(&side[0], &send[0], &receive[0]);
    noise_split(&side[1], &send[1], &receive[1]);
    static const struct noise wiped;
    ck_assert_mem_eq(&side[0], &wiped, sizeof wiped);
    for (int i = NOISE_MESSAGES; i < v->messages; i++) {
        int from = v->initiator_first ? (i + 1) % 2 : i % 2;
        uint8_t buf[512];
        size_t n = v->payload[i].n;
        ck_assert_uint_eq(v->message[i].n, n + AEAD_TAG);
        aead_sodium.seal(NULL, send[from].key, send[from].nonce++, bytes_of(NULL, 0), buf,
                         v->payload[i].b, n);
        ck_assert_mem_eq(buf, v->message[i].b, n + AEAD_TAG);
        struct noise_cipher *c = &receive[1 - from];
        ck_assert(aead_sodium.open(NULL, c->key, c->nonce++, bytes_of(NULL, 0), buf, buf, n));
        ck_assert_mem_eq(buf, v->payload[i].b, n);
    }
}

START_TEST(published_vectors)
{
    const char *source = getenv("FWSWARM_SOURCE");
    ck_assert_ptr_nonnull(source);
    char path[512];
    snprintf(path, sizeof path, "%s/tests/vectors/noise.txt", source);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    static char line[2048];
    static struct vector v;
    int plain = 0, psk = 0, hashes = 0;
    bool more = true;
    while (more) {
        more = fgets(line, sizeof line, f) != NULL;
        char *value = more ? strchr(line, '=') : NULL;
        if (more && line[0] != '#' && value != NULL) {
            *value++ = '\0';
            value[strcspn(value, "\r\n")] = '\0';
            vector_set(&v, line, value);
        } else if (v.messages > 0) {
            vector_run(&v);
            plain += v.pattern == NOISE_XX;
            psk += v.pattern == NOISE_XXPSK0;
            hashes += v.hash.n > 0;
            memset(&v, 0, sizeof v);
        }
    }
    fclose(f);
    ck_assert_int_eq(plain, 6);
    ck_assert_int_eq(psk, 4);
    ck_assert_int_eq(hashes, 2);
}
END_TEST

/* Section 4.2: the first 32 bytes of zeros sealed under the highest nonce. */
START_TEST(rekey)
{
    struct noise_cipher c = {{1, 2, 3}, 65536};
    struct noise_cipher before = c;
    uint8_t npub[12], want[48], zeros[32] = {0};
    memset(npub, 0, 4);
    memset(npub + 4, 0xff, 8);
    crypto_aead_chacha20poly1305_ietf_encrypt(want, NULL, zeros, 32, NULL, 0, NULL, npub, c.key);
    noise_rekey(&c);
    ck_assert_mem_eq(c.key, want, 32);
    ck_assert_uint_eq(c.nonce, 65536);
    noise_rekey(&c);
    ck_assert(memcmp(c.key, want, 32) != 0);
    ck_assert(memcmp(c.key, before.key, 32) != 0);
}
END_TEST

static void start(struct noise *n, bool initiator, const char *prologue, uint8_t psk)
{
    uint8_t p[32], s[32], e[32];
    memset(p, psk, sizeof p);
    memset(s, initiator ? 0x11 : 0x22, sizeof s);
    memset(e, initiator ? 0x33 : 0x44, sizeof e);
    noise_init(n, NOISE_XXPSK0, initiator, bytes_str(prologue), p, s, e);
}

static enum err pass(struct noise *from, struct noise *to, const uint8_t *low_order)
{
    uint8_t buf[256];
    struct wr w = wr_of(buf, sizeof buf);
    enum err e = noise_write_head(from, &w);
    if (e)
        return e;
    size_t at = wr_len(&w), used;
    noise_write_payload(from, &w, at);
    if (low_order)
        memcpy(buf, low_order, 32);
    e = noise_read_head(to, wr_done(&w), &used);
    if (e)
        return e;
    struct bytes payload;
    return noise_read_payload(to, buf + used, wr_len(&w) - used, &payload);
}

START_TEST(other_key_or_prologue)
{
    struct noise a, b;
    start(&a, true, "one", 1);
    start(&b, false, "one", 2);
    ck_assert_int_eq(pass(&a, &b, NULL), E_AUTH);
    start(&a, true, "one", 1);
    start(&b, false, "two", 1);
    ck_assert_int_eq(pass(&a, &b, NULL), E_AUTH);
    start(&a, true, "one", 1);
    start(&b, false, "one", 1);
    ck_assert_int_eq(pass(&a, &b, NULL), E_OK);
    ck_assert_int_eq(pass(&b, &a, NULL), E_OK);
    ck_assert_int_eq(pass(&a, &b, NULL), E_OK);
}
END_TEST

/* With plain XX nothing guards the first message, so the exchange itself must refuse. */
START_TEST(low_order_ephemerals)
{
    static const uint8_t one[32] = {1}, zero[32] = {0};
    uint8_t s[32] = {1}, e[32] = {2};
    for (int i = 0; i < 2; i++) {
        struct noise a, b;
        noise_init(&a, NOISE_XX, true, bytes_of(NULL, 0), NULL, s, e);
        noise_init(&b, NOISE_XX, false, bytes_of(NULL, 0), NULL, s, e);
        ck_assert_int_eq(pass(&a, &b, i ? one : zero), E_OK);
        ck_assert_int_eq(pass(&b, &a, NULL), E_AUTH); /* refused by b, when it writes */
        noise_init(&a, NOISE_XX, true, bytes_of(NULL, 0), NULL, s, e);
        noise_init(&b, NOISE_XX, false, bytes_of(NULL, 0), NULL, s, e);
        ck_assert_int_eq(pass(&a, &b, NULL), E_OK);
        ck_assert_int_eq(pass(&b, &a, i ? one : zero), E_AUTH);
    }
}
END_TEST

START_TEST(truncated)
{
    uint8_t buf[256];
    for (size_t cut = 0; cut < 48; cut++) {
        struct noise a, b;
        start(&a, true, "p", 1);
        start(&b, false, "p", 1);
        struct wr w = wr_of(buf, sizeof buf);
        ck_assert_int_eq(noise_write_head(&a, &w), E_OK);
        noise_write_payload(&a, &w, wr_len(&w));
        ck_assert_uint_eq(wr_len(&w), 48);
        size_t used;
        struct bytes payload;
        enum err e = noise_read_head(&b, bytes_of(buf, cut), &used);
        if (!e)
            e = noise_read_payload(&b, buf + used, cut - used, &payload);
        ck_assert_int_eq(e, E_TRUNCATED);
    }
}
END_TEST

START_TEST(out_of_turn)
{
    struct noise b;
    uint8_t buf[256];
    struct wr w = wr_of(buf, sizeof buf);
    start(&b, false, "p", 1);
    enum err e = noise_write_head(&b, &w);
    ck_assert_int_eq(e, E_OK);
}
END_TEST

static Suite *noise_suite(void)
{
    Suite *s = suite_create("noise");
    TCase *t = tcase_create("noise");
    tcase_add_test(t, published_vectors);
    tcase_add_test(t, rekey);
    tcase_add_test(t, other_key_or_prologue);
    tcase_add_test(t, low_order_ephemerals);
    tcase_add_test(t, truncated);
    tcase_add_test_raise_signal(t, out_of_turn, 6);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    SRunner *r = srunner_create(noise_suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
