/* The hosts' sealer gives the same bytes as the core's, refuses the same, and works in place. */
#include "fwswarm/aead_evp.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 65, 255, 4096, 16397, 20480};
#define SIZES           (sizeof sizes / sizeof sizes[0])
#define SIZE_MAX_TESTED 20480

static uint8_t plain[SIZE_MAX_TESTED], a[SIZE_MAX_TESTED + AEAD_TAG], b[SIZE_MAX_TESTED + AEAD_TAG];

static struct aead_evp *evp_start(struct rng *r)
{
    static const uint8_t seed[32] = {9};
    rng_init(r, seed);
    rng_bytes(r, plain, sizeof plain);
    struct aead_evp *evp = aead_evp_open();
    ck_assert_ptr_nonnull(evp);
    return evp;
}

START_TEST(same_bytes)
{
    struct rng r;
    struct aead_evp *evp = evp_start(&r);
    struct aead fast = aead_evp_view(evp);
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t ad_len = 0; ad_len <= 32; ad_len += 16) {
            uint8_t key[32], ad[32];
            rng_bytes(&r, key, sizeof key);
            rng_bytes(&r, ad, sizeof ad);
            uint64_t nonce = rng_u64(&r);
            size_t n = sizes[i];
            struct bytes add = bytes_of(ad, ad_len);
            aead_sodium.seal(NULL, key, nonce, add, a, plain, n);
            fast.seal(fast.ctx, key, nonce, add, b, plain, n);
            ck_assert_mem_eq(a, b, n + AEAD_TAG);
            /* Each opens the other's, apart and in place. */
            ck_assert(fast.open(fast.ctx, key, nonce, add, b, a, n));
            ck_assert_mem_eq(b, plain, n);
            fast.seal(fast.ctx, key, nonce, add, b, b, n);
            ck_assert_mem_eq(a, b, n + AEAD_TAG);
            ck_assert(aead_sodium.open(NULL, key, nonce, add, b, b, n));
            ck_assert_mem_eq(b, plain, n);
            ck_assert(fast.open(fast.ctx, key, nonce, add, a, a, n));
            ck_assert_mem_eq(a, plain, n);
        }
    }
    aead_evp_close(evp);
}
END_TEST

START_TEST(refuses)
{
    struct rng r;
    struct aead_evp *evp = evp_start(&r);
    struct aead fast = aead_evp_view(evp);
    uint8_t key[32] = {1};
    struct bytes ad = bytes_str("ad"), none = bytes_of(NULL, 0);
    for (size_t n = 0; n <= 65; n += 13) {
        fast.seal(fast.ctx, key, 7, ad, a, plain, n);
        for (size_t bit = 0; bit < (n + AEAD_TAG) * 8; bit++) {
            memcpy(b, a, n + AEAD_TAG);
            b[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert(!fast.open(fast.ctx, key, 7, ad, b, b, n));
            /* Nothing of a forged record stays readable. */
            static const uint8_t zero[80];
            ck_assert_mem_eq(b, zero, n);
        }
        ck_assert(!fast.open(fast.ctx, key, 8, ad, b, a, n));
        ck_assert(!fast.open(fast.ctx, key, 7, none, b, a, n));
        /* A failure leaves no trace in the context. */
        ck_assert(fast.open(fast.ctx, key, 7, ad, b, a, n));
        ck_assert_mem_eq(b, plain, n);
    }
    aead_evp_close(evp);
    aead_evp_close(NULL);
}
END_TEST

static Suite *aead_evp_suite(void)
{
    Suite *s = suite_create("aead_evp");
    TCase *t = tcase_create("aead_evp");
    tcase_add_test(t, same_bytes);
    tcase_add_test(t, refuses);
    tcase_set_timeout(t, 60);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    if (sodium_init() < 0)
        return EXIT_FAILURE;
    SRunner *r = srunner_create(aead_evp_suite());
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
