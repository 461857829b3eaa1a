/* Membership: which certificates open a link, and by what name each other is refused. */
#include "fwswarm/trust.h"

#include <stdlib.h>

#include "fleet.h"
#include "run.h"

struct made {
    uint8_t buf[CERT_BYTES_MAX];
    size_t n;
};

static struct member plain_member(void)
{
    struct member m = {.index = 100, .role = ROLE_NORMAL};
    struct root r = test_root();
    m.node = test_pub(KEY_NODE);
    model_id(&m.model, &r.fleet, "gw-9");
    return m;
}

static struct made make(const struct member *m, uint32_t enrol)
{
    struct made c;
    struct root r = test_root();
    struct signer s = test_signer(enrol);
    struct wr w = wr_of(c.buf, sizeof(c.buf));
    ck_assert_int_eq(cert_make(&w, m, &s, &r.fleet), E_OK);
    c.n = wr_len(&w);
    return c;
}

static enum err judge(const struct made *c, const struct trust *t)
{
    struct member out;
    struct key node = test_pub(KEY_NODE);
    return cert_judge(&out, bytes_of(c->buf, c->n), &node, t);
}

static enum err judge_member(const struct member *m, uint32_t enrol)
{
    struct trust t = test_trust();
    struct made c = make(m, enrol);
    return judge(&c, &t);
}

START_TEST(good)
{
    struct trust t = test_trust();
    struct member m = plain_member(), out;
    m.role = ROLE_GATEWAY;
    m.index = 1099;
    struct made c = make(&m, KEY_ENROL), again = make(&m, KEY_ENROL);
    ck_assert_uint_eq(c.n, 166);
    ck_assert_mem_eq(c.buf, again.buf, c.n);
    ck_assert_int_eq(cert_judge(&out, bytes_of(c.buf, c.n), &m.node, &t), E_OK);
    ck_assert(key_equal(&out.node, &m.node));
    ck_assert_uint_eq(out.index, 1099);
    ck_assert_int_eq(out.role, ROLE_GATEWAY);
    ck_assert(digest_equal(&out.model, &m.model));
}
END_TEST

START_TEST(lease)
{
    struct member m = plain_member();
    static const struct {
        uint32_t index, enrol;
        enum err want;
    } rows[] = {
        {100, KEY_ENROL, E_OK},        {99, KEY_ENROL, E_RANGE},        {1099, KEY_ENROL, E_OK},
        {1100, KEY_ENROL, E_RANGE},    {2000, KEY_ENROL, E_RANGE},      {2000, KEY_ENROL + 1, E_OK},
        {100, KEY_ENROL + 1, E_RANGE}, {100, KEY_STRANGER, E_UNLISTED}, {100, KEY_ROOT, E_UNLISTED},
        {1, KEY_ENROL, E_RANGE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        m.index = rows[i].index;
        ck_assert_int_eq(judge_member(&m, rows[i].enrol), rows[i].want);
    }
}
END_TEST

START_TEST(dropped_key_keeps_what_it_enrolled)
{
    struct trust t = test_trust();
    struct root next = test_root();
    next.version = 2;
    next.enrol[0].retired = true;
    next.enrol[0].last = 150;
    test_advance(&t, &next);
    struct member m = plain_member();
    m.index = 150;
    struct made c = make(&m, KEY_ENROL);
    ck_assert_int_eq(judge(&c, &t), E_OK);
    m.index = 151;
    c = make(&m, KEY_ENROL);
    ck_assert_int_eq(judge(&c, &t), E_RANGE);
    /* Dropped without a trace: everything it enrolled is out. */
    next.version = 3;
    next.enrol[0] = next.enrol[1];
    next.enrol_count = 1;
    test_advance(&t, &next);
    m.index = 150;
    c = make(&m, KEY_ENROL);
    ck_assert_int_eq(judge(&c, &t), E_UNLISTED);
}
END_TEST

/* A lease may cover a verify node's index; handing it out again is refused all the same. */
START_TEST(verify_index_is_taken)
{
    struct trust t = test_trust();
    struct root next = test_root();
    next.version = 2;
    next.verify[0].index = 100;
    test_advance(&t, &next);
    struct member m = plain_member();
    struct made c = make(&m, KEY_ENROL);
    ck_assert_int_eq(judge(&c, &t), E_RANGE);
    m.index = 101;
    c = make(&m, KEY_ENROL);
    ck_assert_int_eq(judge(&c, &t), E_OK);
}
END_TEST

START_TEST(roles)
{
    struct member m = plain_member();
    struct root r = test_root();
    struct signer s = test_signer(KEY_ENROL);
    uint8_t buf[CERT_BYTES_MAX];
    struct wr w = wr_of(buf, sizeof(buf));
    m.role = ROLE_VERIFY;
    ck_assert_int_eq(cert_make(&w, &m, &s, &r.fleet), E_ROLE);
    m.role = ROLE_PUBLISHER;
    ck_assert_int_eq(cert_make(&w, &m, &s, &r.fleet), E_ROLE);
    ck_assert_uint_eq(wr_len(&w), 0);
    /* Signed by hand all the same. */
    m.role = ROLE_NORMAL;
    struct trust t = test_trust();
    struct made c = make(&m, KEY_ENROL);
    static const uint8_t bad[] = {ROLE_VERIFY, ROLE_PUBLISHER, 4, 255};
    for (size_t i = 0; i < sizeof(bad); i++) {
        struct sig sig;
        c.buf[1] = bad[i];
        sign_statement(&sig, &s, "fwswarm-cert", &r.fleet, bytes_of(c.buf, 102));
        memcpy(c.buf + 102, sig.b, 64);
        ck_assert_int_eq(judge(&c, &t), E_ROLE);
    }
}
END_TEST

START_TEST(listed_nodes_need_no_certificate)
{
    struct trust t = test_trust();
    struct member out;
    struct bytes none = bytes_of(NULL, 0);
    struct key k = test_pub(KEY_VERIFY + 2);
    ck_assert_int_eq(cert_judge(&out, none, &k, &t), E_OK);
    ck_assert_int_eq(out.role, ROLE_VERIFY);
    ck_assert_uint_eq(out.index, 3);
    ck_assert(digest_is_zero(&out.model));
    k = test_pub(KEY_PUBLISH);
    ck_assert_int_eq(cert_judge(&out, none, &k, &t), E_OK);
    ck_assert_int_eq(out.role, ROLE_PUBLISHER);
    k = test_pub(KEY_NODE);
    ck_assert_int_eq(cert_judge(&out, none, &k, &t), E_UNLISTED);
    k = test_pub(KEY_RELEASE);
    ck_assert_int_eq(cert_judge(&out, none, &k, &t), E_UNLISTED);
    t.revoked = (struct revocations){1, 1, 1, {{3, 3}}};
    k = test_pub(KEY_VERIFY + 2);
    ck_assert_int_eq(cert_judge(&out, none, &k, &t), E_REVOKED);
}
END_TEST

START_TEST(wrong_holder_fleet_or_revoked)
{
    struct trust t = test_trust();
    struct member m = plain_member(), out;
    struct made c = make(&m, KEY_ENROL);
    struct key other = test_pub(KEY_NODE + 1);
    ck_assert_int_eq(cert_judge(&out, bytes_of(c.buf, c.n), &other, &t), E_AUTH);
    t.root.fleet.b[0] ^= 1;
    ck_assert_int_eq(judge(&c, &t), E_SIGNATURE);
    t = test_trust();
    t.revoked = (struct revocations){1, 1, 2, {{50, 99}, {101, 200}}};
    ck_assert_int_eq(judge(&c, &t), E_OK);
    t.revoked.range[0].last = 100;
    ck_assert_int_eq(judge(&c, &t), E_REVOKED);
}
END_TEST

START_TEST(every_truncation_and_flip)
{
    struct trust t = test_trust();
    struct member m = plain_member(), out;
    struct made c = make(&m, KEY_ENROL);
    for (size_t n = 1; n < c.n; n++) {
        uint8_t *exact = malloc(n);
        memcpy(exact, c.buf, n);
        ck_assert_int_eq(cert_judge(&out, bytes_of(exact, n), &m.node, &t), E_TRUNCATED);
        free(exact);
    }
    for (size_t bit = 0; bit < c.n * 8; bit++) {
        c.buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        enum err e = judge(&c, &t);
        ck_assert_int_ne(e, E_OK);
        ck_assert(bit >= 8 || e == E_VERSION);
        ck_assert(bit < 102 * 8 || e == E_SIGNATURE);
        c.buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    c.buf[c.n] = 0;
    ck_assert_int_eq(cert_judge(&out, bytes_of(c.buf, c.n + 1), &m.node, &t), E_TRAILING);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cert");
    TCase *c = tcase_create("cert");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, good);
    tcase_add_test(c, lease);
    tcase_add_test(c, dropped_key_keeps_what_it_enrolled);
    tcase_add_test(c, verify_index_is_taken);
    tcase_add_test(c, roles);
    tcase_add_test(c, listed_nodes_need_no_certificate);
    tcase_add_test(c, wrong_holder_fleet_or_revoked);
    tcase_add_test(c, every_truncation_and_flip);
    suite_add_tcase(s, c);
    return test_run(s);
}
