/* The signed manifest: SUIT vectors from elsewhere, our own envelopes, and every way to spoil one.
 */
#include "fwswarm/manifest.h"

#include <stdio.h>
#include <stdlib.h>

#include "fleet.h"
#include "image/suit.h"
#include "run.h"

/* ---- vectors ---- */

/* Reads hex digits from tests/vectors; lines that begin with # are comments. */
static struct test_object load(const char *name)
{
    char path[1024], line[256];
    struct test_object o = {.n = 0};
    const char *source = getenv("FWSWARM_SOURCE");
    snprintf(path, sizeof(path), "%s/tests/vectors/%s", source != NULL ? source : ".", name);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f != NULL, "no %s", path);
    while (fgets(line, sizeof(line), f) != NULL) {
        if (line[0] == '#')
            continue;
        size_t n = strcspn(line, "\n");
        line[n] = '\0';
        ck_assert(hex_decode(o.buf + o.n, n / 2, line));
        o.n += n / 2;
    }
    fclose(f);
    return o;
}

static void check_hex(const void *p, size_t n, const char *want)
{
    char hex[1024];
    ck_assert_uint_lt(2 * n, sizeof(hex));
    hex_encode(hex, p, n);
    ck_assert_str_eq(hex, want);
}

static struct signer counting_signer(uint8_t first)
{
    uint8_t seed[32];
    struct signer s;
    for (uint8_t i = 0; i < 32; i++)
        seed[i] = (uint8_t)(first + i);
    signer_from_seed(&s, seed);
    return s;
}

START_TEST(uuids)
{
    uint8_t id[UUID_SIZE];
    /* RFC 9562, appendix A.4, and the vendor of the draft's examples. */
    uuid_v5(id, uuid_dns, bytes_str("www.example.com"));
    check_hex(id, sizeof(id), "2ed6657de927568b95e12665a8aea6a2");
    uuid_v5(id, uuid_dns, bytes_str("arm.com"));
    check_hex(id, sizeof(id), "fa6b4a53d5ad5fdfbe9de663e4d41ffe");
    /* Around the end of a hash block: 16 + 39, 40, 47, 48 bytes. */
    static const struct {
        size_t n;
        const char *want;
    } rows[] = {
        {0, "4ebd020883285d698c44ec50939c0967"},  {39, "5824f981428259d49716acb6d741350e"},
        {40, "39f39c20db475131887962f8f67f9014"}, {47, "660c273c8a005941b6f48d0afed88966"},
        {48, "7280cc42274a5c4a91fcae23f853eeb7"}, {128, "97171c9416fb58c8a8cbdc2f0e33dc43"},
    };
    char name[UUID_NAME_MAX];
    memset(name, 'a', sizeof(name));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uuid_v5(id, uuid_dns, bytes_of(name, rows[i].n));
        check_hex(id, sizeof(id), rows[i].want);
    }
}
END_TEST

/* What the two-signer vector says, as fields. */
static struct suit_manifest vector_fields(struct bytes text)
{
    static const char uri[] =
        "magnet:?xt=urn:btmh:"
        "12206ca5dedc97fab589995a273b7d1353a30515b26dad82751735b19a9e442c1861";
    struct suit_manifest m = {.sequence = 7, .size = 100000, .has_text = true};
    ck_assert(hex_decode(m.vendor_id, 16, "fa6b4a53d5ad5fdfbe9de663e4d41ffe"));
    ck_assert(hex_decode(m.class_id, 16, "1492af1425695e48bf429b2d51f2ab45"));
    ck_assert(hex_decode(m.digest.b, 32,
                         "06e06575e7f0fea7ead84323a6c0523aae439b4b7fb475e40e67f0f56d095261"));
    m.uri = bytes_str(uri);
    suit_digest(&m.text, text);
    return m;
}

START_TEST(two_signers_decode)
{
    struct test_object env = load("suit-two-signers.hex"), tbs = load("suit-two-signers-tbs.hex");
    struct suit_envelope e;
    struct suit_manifest m;
    uint8_t payload[SUIT_DIGEST_LEN], got[COSE_TBS_MAX];
    ck_assert_uint_eq(env.n, 533);
    ck_assert_int_eq(suit_envelope_read(&e, test_bytes(&env)), E_OK);
    check_hex(e.digest.b, 32, "890897ff9bcdc1ee24db777efcc77e6b1313bb4e7c0ca93c9331f540bdc69542");
    suit_digest_encode(payload, &e.digest);
    ck_assert_uint_eq(e.count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        struct bytes covered = bytes_of(payload, sizeof(payload));
        struct signer s = counting_signer((uint8_t)i), other = counting_signer((uint8_t)(1 - i));
        uint8_t kid[COSE_KID];
        size_t n = cose_tbs(got, e.sig[i].protected_header, covered);
        ck_assert(bytes_equal(bytes_of(got, n), test_bytes(&tbs)));
        ck_assert_int_eq(e.sig[i].alg, COSE_ALG_ED25519);
        cose_kid(kid, &s.pub);
        ck_assert(bytes_equal(e.sig[i].kid, bytes_of(kid, sizeof(kid))));
        ck_assert_int_eq(cose_verify(&e.sig[i], &s.pub, covered), E_OK);
        ck_assert_int_eq(cose_verify(&e.sig[i], &other.pub, covered), E_SIGNATURE);
    }
    ck_assert_int_eq(suit_manifest_read(&m, e.manifest), E_OK);
    struct suit_manifest want = vector_fields(e.text);
    ck_assert_uint_eq(m.sequence, want.sequence);
    ck_assert_uint_eq(m.size, want.size);
    ck_assert_mem_eq(m.vendor_id, want.vendor_id, 16);
    ck_assert_mem_eq(m.class_id, want.class_id, 16);
    ck_assert(digest_equal(&m.digest, &want.digest));
    ck_assert(bytes_equal(m.uri, want.uri));
    ck_assert(digest_equal(&m.text, &want.text));
    ck_assert_uint_eq(m.custom.n, 0);
    /* A SUIT envelope of someone else, but no release of a fleet. */
    struct manifest out;
    struct sig sigs[SIGNERS_MAX];
    struct bytes inner;
    ck_assert_int_eq(manifest_read(&out, test_bytes(&env), &inner, sigs), E_FORMAT);
}
END_TEST

/* From fields and seeds to the very same 533 bytes. */
START_TEST(two_signers_encode)
{
    struct test_object env = load("suit-two-signers.hex");
    struct suit_envelope given, e = {.count = 2};
    ck_assert_int_eq(suit_envelope_read(&given, test_bytes(&env)), E_OK);
    struct suit_manifest m = vector_fields(given.text);
    uint8_t manifest[1024], payload[SUIT_DIGEST_LEN], kid[2][COSE_KID], out[1024];
    struct sig sigs[2];
    struct wr w = wr_of(manifest, sizeof(manifest));
    ck_assert_int_eq(suit_manifest_write(&m, &w), E_OK);
    ck_assert(bytes_equal(wr_done(&w), given.manifest));
    e.manifest = wr_done(&w);
    e.text = given.text;
    suit_digest(&e.digest, e.manifest);
    suit_digest_encode(payload, &e.digest);
    for (uint32_t i = 0; i < 2; i++) {
        struct signer s = counting_signer((uint8_t)i);
        cose_sign(&sigs[i], &s, bytes_of(payload, sizeof(payload)));
        cose_kid(kid[i], &s.pub);
        e.sig[i].alg = COSE_ALG_ED25519;
        e.sig[i].kid = bytes_of(kid[i], COSE_KID);
        e.sig[i].sig = bytes_of(sigs[i].b, sizeof(sigs[i].b));
    }
    w = wr_of(out, sizeof(out));
    ck_assert_int_eq(suit_envelope_write(&e, &w), E_OK);
    ck_assert(bytes_equal(wr_done(&w), test_bytes(&env)));
}
END_TEST

START_TEST(draft_example_1)
{
    struct test_object env = load("suit-example1.hex");
    struct suit_envelope e;
    struct suit_manifest m;
    struct digest bare;
    ck_assert_uint_eq(env.n, 272);
    ck_assert_int_eq(suit_envelope_read(&e, test_bytes(&env)), E_OK);
    /* The digest covers the manifest with its byte string head, and not without. */
    hash_sha256(&bare, e.manifest.p, e.manifest.n);
    ck_assert(!digest_equal(&bare, &e.digest));
    hash_sha256(&bare, e.manifest.p - 2, e.manifest.n + 2);
    ck_assert(digest_equal(&bare, &e.digest));
    ck_assert_uint_eq(e.count, 1);
    ck_assert_int_eq(e.sig[0].alg, -7);
    ck_assert_uint_eq(e.sig[0].kid.n, 0);
    /* ES256 is none of ours, whatever the key. */
    uint8_t payload[SUIT_DIGEST_LEN];
    struct key k = test_pub(KEY_RELEASE);
    suit_digest_encode(payload, &e.digest);
    ck_assert_int_eq(cose_verify(&e.sig[0], &k, bytes_of(payload, sizeof(payload))), E_UNKNOWN);
    ck_assert_int_eq(suit_manifest_read(&m, e.manifest), E_OK);
    ck_assert_uint_eq(m.sequence, 1);
    ck_assert_uint_eq(m.size, 34768);
    ck_assert(bytes_equal(m.uri, bytes_str("http://example.com/file.bin")));
    ck_assert(!m.has_text);
    /* And it encodes to the same bytes. */
    uint8_t out[1024];
    struct wr w = wr_of(out, sizeof(out));
    ck_assert_int_eq(suit_envelope_write(&e, &w), E_OK);
    ck_assert(bytes_equal(wr_done(&w), test_bytes(&env)));
}
END_TEST

/* ---- our own releases ---- */

static struct manifest plain_manifest(void)
{
    struct root r = test_root();
    struct manifest m = {.fleet = r.fleet, .root_version = 1, .sequence = 42, .size = 67108864};
    strcpy(m.model, "gw-9");
    strcpy(m.version, "1.4.2~rc1+b3");
    strcpy(m.vendor, "Example Corp");
    memset(m.digest.b, 0xd1, 32);
    memset(m.tree_root.b, 0x77, 32);
    m.piece_length = tree_piece_length(m.size);
    return m;
}

/* Signs given manifest bytes whatever they are; a test then opens them. */
struct wrap {
    struct suit_envelope e;
    uint8_t kid[SIGNERS_MAX][COSE_KID], tokens[2048], text[256];
    struct key keys[SIGNERS_MAX];
    struct sig sigs[SIGNERS_MAX], token[SIGNERS_MAX];
};

static void write_token_list(struct wrap *p, uint32_t count)
{
    struct wr w = wr_of(p->tokens, sizeof(p->tokens));
    cbor_w_array(&w, count);
    for (uint32_t i = 0; i < count; i++) {
        cbor_w_array(&w, 2);
        cbor_w_bstr(&w, bytes_of(p->keys[i].b, 32));
        cbor_w_bstr(&w, bytes_of(p->token[i].b, 64));
    }
    p->e.tokens = wr_done(&w);
}

static void wrap_bytes(struct wrap *p, struct bytes manifest, const struct manifest *m,
                       const uint32_t *numbers, uint32_t count)
{
    struct manifest named = *m;
    memset(p, 0, sizeof(*p));
    suit_digest(&p->e.digest, manifest);
    named.id = p->e.digest;
    p->e.manifest = manifest;
    p->e.count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct signer s = test_signer(numbers[i]);
        p->keys[i] = s.pub;
        manifest_sign(&p->sigs[i], &s, &named.id);
        token_sign(&p->token[i], &s, &named);
        cose_kid(p->kid[i], &s.pub);
        p->e.sig[i] = (struct cose_sign1){.alg = COSE_ALG_ED25519,
                                          .kid = bytes_of(p->kid[i], COSE_KID),
                                          .sig = bytes_of(p->sigs[i].b, 64)};
    }
    write_token_list(p, count);
    struct wr w = wr_of(p->text, sizeof(p->text));
    ck_assert_int_eq(suit_text_write(m->vendor, m->model, m->version, &w), E_OK);
    p->e.text = wr_done(&w);
}

static void finish(struct test_object *o, const struct wrap *p)
{
    struct wr w = wr_of(o->buf, sizeof(o->buf));
    ck_assert_int_eq(suit_envelope_write(&p->e, &w), E_OK);
    o->n = wr_len(&w);
}

static enum err open_wrap(const struct wrap *p, const struct trust *t)
{
    struct test_object o;
    struct manifest out, zero;
    finish(&o, p);
    enum err e = manifest_open(&out, test_bytes(&o), t);
    memset(&zero, 0, sizeof(zero));
    if (e != E_OK)
        ck_assert_mem_eq(&out, &zero, sizeof(out));
    return e;
}

/* The whole way that the vendor's tool goes. */
static void release(struct test_object *o, struct manifest *m, const uint32_t *numbers,
                    uint32_t count)
{
    uint8_t manifest[2048];
    struct wr w = wr_of(manifest, sizeof(manifest)), out = wr_of(o->buf, sizeof(o->buf));
    struct key keys[SIGNERS_MAX];
    struct sig sigs[SIGNERS_MAX], tokens[SIGNERS_MAX];
    ck_assert_int_eq(manifest_encode(m, &w), E_OK);
    manifest_id(&m->id, wr_done(&w));
    for (uint32_t i = 0; i < count; i++) {
        struct signer s = test_signer(numbers[i]);
        keys[i] = s.pub;
        manifest_sign(&sigs[i], &s, &m->id);
        token_sign(&tokens[i], &s, m);
    }
    ck_assert_int_eq(envelope_encode(wr_done(&w), keys, sigs, tokens, count, &out), E_OK);
    o->n = wr_len(&out);
}

static enum err open_release(struct manifest m, const struct trust *t, const uint32_t *numbers,
                             uint32_t count)
{
    struct test_object o;
    struct manifest out;
    release(&o, &m, numbers, count);
    return manifest_open(&out, test_bytes(&o), t);
}

START_TEST(round_trip)
{
    struct trust t = test_trust();
    struct manifest m = plain_manifest(), out;
    struct test_object o, again;
    release(&o, &m, NUMBERS(12, 10));
    release(&again, &m, NUMBERS(12, 10));
    ck_assert(bytes_equal(test_bytes(&o), test_bytes(&again)));
    ck_assert_uint_le(o.n, 1024);
    ck_assert_int_eq(manifest_open(&out, test_bytes(&o), &t), E_OK);
    ck_assert(digest_equal(&out.id, &m.id));
    ck_assert(digest_equal(&out.fleet, &m.fleet));
    ck_assert_uint_eq(out.root_version, 1);
    ck_assert_uint_eq(out.sequence, 42);
    ck_assert_str_eq(out.model, "gw-9");
    ck_assert_str_eq(out.version, "1.4.2~rc1+b3");
    ck_assert_str_eq(out.vendor, "Example Corp");
    struct digest model;
    model_id(&model, &m.fleet, "gw-9");
    ck_assert(digest_equal(&out.model_id, &model));
    ck_assert_uint_eq(out.size, 67108864);
    ck_assert(digest_equal(&out.digest, &m.digest));
    ck_assert(digest_equal(&out.tree_root, &m.tree_root));
    ck_assert_uint_eq(out.piece_length, 32768);
    ck_assert_uint_eq(out.signers_count, 2);
    struct key first = test_pub(12), second = test_pub(10);
    ck_assert(key_equal(&out.signers[0], &first));
    ck_assert(key_equal(&out.signers[1], &second));
    for (uint32_t i = 0; i < 2; i++)
        ck_assert(token_verify(&out.tokens[i], &out.signers[i], &m.fleet, 1, &model, 42, &m.id));
    ck_assert(!token_verify(&out.tokens[0], &out.signers[1], &m.fleet, 1, &model, 42, &m.id));
    ck_assert(!token_verify(&out.tokens[0], &out.signers[0], &m.fleet, 2, &model, 42, &m.id));
    ck_assert(!token_verify(&out.tokens[0], &out.signers[0], &m.fleet, 1, &model, 43, &m.id));
    ck_assert(!token_verify(&out.tokens[0], &out.signers[0], &m.fleet, 1, &m.id, 42, &m.id));
    ck_assert(!token_verify(&out.tokens[0], &out.signers[0], &model, 1, &model, 42, &m.id));
    ck_assert(!token_verify(&out.tokens[0], &out.signers[0], &m.fleet, 1, &model, 42, &model));
}
END_TEST

/* The format as it is today: these bytes must open in every later version. */
START_TEST(golden_release)
{
    struct test_object golden = load("fwswarm-release.hex"), o;
    struct trust t = test_trust();
    struct manifest m = plain_manifest(), out;
    release(&o, &m, NUMBERS(10, 11));
    ck_assert(bytes_equal(test_bytes(&o), test_bytes(&golden)));
    ck_assert_int_eq(manifest_open(&out, test_bytes(&golden), &t), E_OK);
}
END_TEST

START_TEST(extreme_values)
{
    struct trust t = test_trust();
    struct manifest m = plain_manifest();
    memset(m.model, 'm', MODEL_MAX);
    memset(m.version, 'v', VERSION_MAX);
    memset(m.vendor, 'x', MODEL_MAX);
    m.sequence = UINT64_MAX;
    m.size = IMAGE_SIZE_MAX;
    m.piece_length = 1u << 31;
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10, 11, 12, 10, 11, 12, 10, 11)), E_OK);
    m = plain_manifest();
    m.vendor[0] = '\0';
    m.sequence = 0;
    m.size = 1;
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10, 11)), E_OK);
    strcpy(m.vendor, "Gr\xc3\xbc\xc3\x9f Gott AG");
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10, 11)), E_OK);
}
END_TEST

START_TEST(thresholds)
{
    struct trust t = test_trust();
    struct manifest m = plain_manifest();
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10)), E_THRESHOLD);
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10, 10)), E_THRESHOLD);
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10, 12)), E_OK);
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10, 11, 12)), E_OK);
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10, 11, KEY_STRANGER)), E_UNLISTED);
    ck_assert_int_eq(open_release(m, &t, NUMBERS(KEY_ROOT, KEY_ROOT + 1)), E_UNLISTED);
    ck_assert_int_eq(open_release(m, &t, NUMBERS(KEY_ENROL, KEY_PUBLISH)), E_UNLISTED);
    /* One key twice beside another: two signers, each once. */
    struct test_object o;
    struct manifest out;
    release(&o, &m, NUMBERS(10, 10, 12));
    ck_assert_int_eq(manifest_open(&out, test_bytes(&o), &t), E_OK);
    ck_assert_uint_eq(out.signers_count, 2);
    struct key last = test_pub(12);
    ck_assert(key_equal(&out.signers[1], &last));
    ck_assert(token_verify(&out.tokens[1], &last, &m.fleet, 1, &out.model_id, 42, &m.id));
}
END_TEST

START_TEST(other_fleets_and_roots)
{
    struct trust t = test_trust();
    struct manifest m = plain_manifest();
    m.fleet.b[3] ^= 1;
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10, 11)), E_FLEET);
    m = plain_manifest();
    m.root_version = 2;
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10, 11)), E_STATE);
    /* After a rotation: 10 goes, 13 comes, one more signature is asked for. */
    struct root next = test_root();
    next.version = 2;
    next.release = test_set(KEY_RELEASE + 1, 4, 3);
    test_advance(&t, &next);
    m.root_version = 1;
    ck_assert_int_eq(open_release(m, &t, NUMBERS(11, 12)), E_THRESHOLD);
    ck_assert_int_eq(open_release(m, &t, NUMBERS(10, 11, 12)), E_UNLISTED);
    ck_assert_int_eq(open_release(m, &t, NUMBERS(11, 12, 13)), E_UNLISTED);
    m.root_version = 2;
    ck_assert_int_eq(open_release(m, &t, NUMBERS(11, 12, 13)), E_OK);
    /* The threshold falls again: old releases still need what their root asked. */
    next.version = 3;
    next.release.threshold = 1;
    test_advance(&t, &next);
    ck_assert_int_eq(open_release(m, &t, NUMBERS(11, 12)), E_THRESHOLD);
    m.root_version = 1;
    ck_assert_int_eq(open_release(m, &t, NUMBERS(11)), E_THRESHOLD);
    ck_assert_int_eq(open_release(m, &t, NUMBERS(11, 12)), E_OK);
    m.root_version = 3;
    ck_assert_int_eq(open_release(m, &t, NUMBERS(11)), E_OK);
    for (uint32_t v = 4; v <= 3 + ROOT_PAST_MAX; v++) {
        next.version = v;
        test_advance(&t, &next);
    }
    m.root_version = 2;
    ck_assert_int_eq(open_release(m, &t, NUMBERS(11, 12, 13)), E_STALE);
    m.root_version = 3;
    ck_assert_int_eq(open_release(m, &t, NUMBERS(11)), E_OK);
}
END_TEST

START_TEST(merge)
{
    struct manifest m = plain_manifest(), a, b;
    struct test_object one, two, both, joined;
    struct sig sa[SIGNERS_MAX], sb[SIGNERS_MAX];
    struct bytes ma, mb;
    release(&one, &m, NUMBERS(10));
    release(&two, &m, NUMBERS(12));
    release(&both, &m, NUMBERS(10, 12));
    ck_assert_int_eq(manifest_read(&a, test_bytes(&one), &ma, sa), E_OK);
    ck_assert_int_eq(manifest_read(&b, test_bytes(&two), &mb, sb), E_OK);
    ck_assert(bytes_equal(ma, mb));
    ck_assert(digest_equal(&a.id, &b.id));
    ck_assert_uint_eq(a.signers_count, 1);
    struct key keys[2] = {a.signers[0], b.signers[0]};
    struct sig sigs[2] = {sa[0], sb[0]}, tokens[2] = {a.tokens[0], b.tokens[0]};
    struct wr w = wr_of(joined.buf, sizeof(joined.buf));
    ck_assert_int_eq(envelope_encode(ma, keys, sigs, tokens, 2, &w), E_OK);
    ck_assert(bytes_equal(wr_done(&w), test_bytes(&both)));
    w = wr_of(joined.buf, sizeof(joined.buf));
    ck_assert_int_eq(envelope_encode(ma, keys, sigs, tokens, 0, &w), E_THRESHOLD);
    ck_assert_int_eq(envelope_encode(ma, keys, sigs, tokens, SIGNERS_MAX + 1, &w), E_LIMIT);
    w = wr_of(joined.buf, both.n - 1);
    ck_assert_int_eq(envelope_encode(ma, keys, sigs, tokens, 2, &w), E_OVERSIZED);
}
END_TEST

/* ---- spoilt ones ---- */

START_TEST(every_truncation)
{
    struct trust t = test_trust();
    struct manifest m = plain_manifest(), out;
    struct test_object o;
    struct sig sigs[SIGNERS_MAX];
    struct bytes inner;
    release(&o, &m, NUMBERS(10, 11));
    for (size_t n = 0; n < o.n; n++) {
        uint8_t *exact = malloc(n > 0 ? n : 1);
        memcpy(exact, o.buf, n);
        ck_assert_int_eq(manifest_open(&out, bytes_of(exact, n), &t), E_TRUNCATED);
        ck_assert_int_eq(manifest_read(&out, bytes_of(exact, n), &inner, sigs), E_TRUNCATED);
        free(exact);
    }
    o.buf[o.n] = 0;
    ck_assert_int_eq(manifest_open(&out, bytes_of(o.buf, o.n + 1), &t), E_TRAILING);
    static uint8_t big[MANIFEST_MAX + 1];
    ck_assert_int_eq(manifest_open(&out, bytes_of(big, sizeof(big)), &t), E_OVERSIZED);
}
END_TEST

/* No single bit may be turned without being noticed, and none changes what a release means. */
START_TEST(every_flip)
{
    struct trust t = test_trust();
    struct manifest m = plain_manifest(), out, want;
    struct test_object o;
    uint32_t opened = 0, altered = 0, by_name[E_COUNT] = {0};
    release(&o, &m, NUMBERS(10, 11));
    ck_assert_int_eq(manifest_open(&want, test_bytes(&o), &t), E_OK);
    for (size_t bit = 0; bit < o.n * 8; bit++) {
        o.buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        enum err e = manifest_open(&out, test_bytes(&o), &t);
        o.buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        by_name[e]++;
        if (e != E_OK)
            continue;
        opened++;
        if (memcmp(&out, &want, sizeof(out)) != 0)
            altered++;
    }
    ck_assert_uint_eq(altered, 0);
    ck_assert_uint_eq(opened, 0);
    /* Each kind of mistake is met on the way. */
    ck_assert_uint_gt(by_name[E_HASH], 1000);
    ck_assert_uint_gt(by_name[E_SIGNATURE], 1000);
    ck_assert_uint_gt(by_name[E_FORMAT], 100);
    ck_assert_uint_gt(by_name[E_UNKNOWN], 0);
    ck_assert_uint_gt(by_name[E_TRUNCATED], 0);
    ck_assert_uint_gt(by_name[E_NONCANONICAL], 0);
}
END_TEST

/* A manifest with one byte string in it replaced, properly signed: only its meaning is wrong. */
static enum err open_patched(const char *from, const char *to, size_t n, size_t to_n)
{
    struct trust t = test_trust();
    struct manifest m = plain_manifest();
    uint8_t a[2048], b[2048];
    struct wr w = wr_of(a, sizeof(a));
    struct wrap p;
    ck_assert_int_eq(manifest_encode(&m, &w), E_OK);
    size_t len = wr_len(&w), at = 0;
    while (at + n <= len && memcmp(a + at, from, n) != 0)
        at++;
    ck_assert_msg(at + n <= len, "pattern not in the manifest");
    memcpy(b, a, at);
    memcpy(b + at, to, to_n);
    memcpy(b + at + to_n, a + at + n, len - at - n);
    wrap_bytes(&p, bytes_of(b, len - n + to_n), &m, NUMBERS(10, 11));
    return open_wrap(&p, &t);
}

#define PATCHED(from, to) open_patched(from, to, sizeof(from) - 1, sizeof(to) - 1)

START_TEST(signed_nonsense)
{
    /* {1: 1, 2: 42, 3: ...}; and the private parameter {1: 1, 2: fleet, 3: 1, 4: "gw-9", ...}. */
    ck_assert_int_eq(PATCHED("\xa5\x01\x01\x02\x18\x2a", "\xa5\x01\x01\x02\x18\x2a"), E_OK);
    ck_assert_int_eq(PATCHED("\xa5\x01\x01\x02\x18\x2a", "\xa5\x01\x01\x02\x19\x00\x2a"),
                     E_NONCANONICAL);
    ck_assert_int_eq(PATCHED("\xa5\x01\x01\x02\x18\x2a", "\xa5\x02\x18\x2a\x01\x01"),
                     E_NONCANONICAL);
    ck_assert_int_eq(PATCHED("\xa5\x01\x01\x02\x18\x2a", "\xbf\x01\x01\x02\x18\x2a"),
                     E_NONCANONICAL);
    ck_assert_int_eq(PATCHED("\xa5\x01\x01\x02\x18\x2a", "\xa5\x01\x01\x01\x01"), E_DUPLICATE);
    ck_assert_int_eq(PATCHED("\xa5\x01\x01\x02\x18\x2a", "\xa5\x01\x02\x02\x18\x2a"), E_VERSION);
    ck_assert_int_eq(PATCHED("\xa5\x01\x01\x02\x18\x2a", "\xa4\x01\x01"), E_FORMAT);
    ck_assert_int_eq(PATCHED("\xa5\x01\x01\x02\x18\x2a", "\xa6\x00\x00\x01\x01\x02\x18\x2a"),
                     E_UNKNOWN);
    ck_assert_int_eq(PATCHED("\xa5\x01\x01\x02\x18\x2a", "\xa5\x01\x01\x02\xf6"), E_FORMAT);
    /* Conditions: vendor, class, image match, in their reporting policies. */
    ck_assert_int_eq(PATCHED("\x01\x0f\x02\x0f", "\x01\x0f\x18\x18"), E_UNKNOWN);
    ck_assert_int_eq(PATCHED("\x01\x0f\x02\x0f", "\x05\x0f\x02\x0f"), E_UNKNOWN);
    ck_assert_int_eq(PATCHED("\x01\x0f\x02\x0f", "\x01\x0f\x02\x0e"), E_UNKNOWN);
    ck_assert_int_eq(PATCHED("\x07\x43\x82\x03\x0f", "\x07\x43\x82\x17\x02"), E_UNKNOWN);
    ck_assert_int_eq(PATCHED("\x07\x43\x82\x03\x0f", "\x08\x43\x82\x03\x0f"), E_UNKNOWN);
    ck_assert_int_eq(PATCHED("\x07\x43\x82\x03\x0f", "\x07\x45\x84\x03\x0f\x03\x0f"), E_UNKNOWN);
    /* Component [h'00'] only. */
    ck_assert_int_eq(PATCHED("\x02\x81\x81\x41\x00", "\x02\x81\x81\x41\x01"), E_UNKNOWN);
    /* Parameters: size 14 becomes 13; ours, -257, becomes -258. */
    ck_assert_int_eq(PATCHED("\x0e\x1a\x04\x00\x00\x00", "\x0d\x1a\x04\x00\x00\x00"), E_UNKNOWN);
    ck_assert_int_eq(PATCHED("\x39\x01\x00\x58", "\x39\x01\x01\x58"), E_UNKNOWN);
    /* Algorithm SHA-384 for the image. */
    ck_assert_int_eq(PATCHED("\x03\x58\x24\x82\x2f", "\x03\x58\x24\x82\x2e"), E_UNKNOWN);
}
END_TEST

START_TEST(signed_nonsense_of_ours)
{
    ck_assert_int_eq(PATCHED("\xa8\x01\x01\x02\x58\x20", "\xa8\x01\x02\x02\x58\x20"), E_VERSION);
    ck_assert_int_eq(PATCHED("\x03\x01\x04\x64gw-9", "\x03\x00\x04\x64gw-9"), E_RANGE);
    ck_assert_int_eq(PATCHED("\x04\x64gw-9", "\x04\x64gw 9"), E_RANGE);
    ck_assert_int_eq(PATCHED("\x04\x64gw-9", "\x04\x64g\x00-9"), E_RANGE);
    ck_assert_int_eq(PATCHED("\x04\x64gw-9", "\x04\x64gw\xff"
                                             "9"),
                     E_FORMAT);
    ck_assert_int_eq(PATCHED("\x04\x64gw-9", "\x04\x64gw-8"), E_FORMAT); /* class id differs */
    ck_assert_int_eq(PATCHED("Example Corp", "Example\nCorp"), E_RANGE);
    ck_assert_int_eq(PATCHED("Example Corp", "Example Corq"), E_FORMAT);
    ck_assert_int_eq(PATCHED("\x08\x19\x80\x00", "\x08\x19\x80\x01"), E_RANGE);
    ck_assert_int_eq(PATCHED("\x08\x19\x80\x00", "\x08\x19\x20\x00"), E_RANGE);
    ck_assert_int_eq(PATCHED("\x08\x19\x80\x00", "\x09\x19\x80\x00"), E_UNKNOWN);
    ck_assert_int_eq(PATCHED("\x0e\x1a\x04\x00\x00\x00", "\x0e\x1a\x00\x00\x00\x00"),
                     E_NONCANONICAL);
}
END_TEST

START_TEST(not_encoded)
{
    uint8_t buf[2048];
    struct wr w = wr_of(buf, sizeof(buf));
    struct manifest m = plain_manifest();
    m.model[0] = '\0';
    ck_assert_int_eq(manifest_encode(&m, &w), E_RANGE);
    m = plain_manifest();
    strcpy(m.version, "1.0;reboot");
    ck_assert_int_eq(manifest_encode(&m, &w), E_RANGE);
    m = plain_manifest();
    strcpy(m.vendor, "\x1b[2J");
    ck_assert_int_eq(manifest_encode(&m, &w), E_RANGE);
    strcpy(m.vendor, "\xc2\x9b"
                     "2J");
    ck_assert_int_eq(manifest_encode(&m, &w), E_RANGE);
    strcpy(m.vendor, "\xff");
    ck_assert_int_eq(manifest_encode(&m, &w), E_FORMAT);
    m = plain_manifest();
    m.size = 0;
    ck_assert_int_eq(manifest_encode(&m, &w), E_RANGE);
    m = plain_manifest();
    m.piece_length = 8192;
    ck_assert_int_eq(manifest_encode(&m, &w), E_RANGE);
    m = plain_manifest();
    m.root_version = 0;
    ck_assert_int_eq(manifest_encode(&m, &w), E_RANGE);
    ck_assert_uint_eq(wr_len(&w), 0);
}
END_TEST

/* What stands outside the signed part. */
START_TEST(unsigned_parts)
{
    struct trust t = test_trust();
    struct manifest m = plain_manifest();
    uint8_t manifest[2048];
    struct wr w = wr_of(manifest, sizeof(manifest));
    struct wrap good, p;
    ck_assert_int_eq(manifest_encode(&m, &w), E_OK);
    wrap_bytes(&good, wr_done(&w), &m, NUMBERS(10, 11));
    ck_assert_int_eq(open_wrap(&good, &t), E_OK);

    p = good; /* lent pointers stay in good, which is what is wanted */
    p.e.text = bytes_of(NULL, 0);
    ck_assert_int_eq(open_wrap(&p, &t), E_OK);
    p.e.text = bytes_str("another text");
    ck_assert_int_eq(open_wrap(&p, &t), E_HASH);
    p = good;
    p.e.tokens = bytes_of(NULL, 0);
    ck_assert_int_eq(open_wrap(&p, &t), E_FORMAT);
    p = good;
    p.token[0] = good.token[1];
    write_token_list(&p, 2);
    ck_assert_int_eq(open_wrap(&p, &t), E_SIGNATURE);
    write_token_list(&p, 1);
    ck_assert_int_eq(open_wrap(&p, &t), E_FORMAT);
    p = good;
    p.keys[0] = test_pub(12);
    write_token_list(&p, 2);
    ck_assert_int_eq(open_wrap(&p, &t), E_FORMAT);
    p = good;
    p.e.sig[0].kid = bytes_of(NULL, 0);
    ck_assert_int_eq(open_wrap(&p, &t), E_FORMAT);
    p = good;
    p.e.sig[1].sig = good.e.sig[0].sig;
    ck_assert_int_eq(open_wrap(&p, &t), E_SIGNATURE);
    p.e.sig[1].sig = bytes_of(good.sigs[1].b, 63);
    ck_assert_int_eq(open_wrap(&p, &t), E_FORMAT);
    p = good;
    p.e.sig[0].alg = -7;
    ck_assert_int_eq(open_wrap(&p, &t), E_UNKNOWN);
    p.e.sig[0].alg = COSE_ALG_EDDSA; /* another header, so another statement */
    ck_assert_int_eq(open_wrap(&p, &t), E_SIGNATURE);
    p = good;
    p.e.digest.b[0] ^= 1;
    ck_assert_int_eq(open_wrap(&p, &t), E_HASH);
    p = good;
    p.e.count = 0;
    write_token_list(&p, 0);
    ck_assert_int_eq(open_wrap(&p, &t), E_THRESHOLD);
}
END_TEST

/* Other tools still write -8 for the same curve. */
START_TEST(old_algorithm_number)
{
    struct trust t = test_trust();
    struct manifest m = plain_manifest();
    uint8_t manifest[2048], payload[SUIT_DIGEST_LEN], tbs[COSE_TBS_MAX];
    static const uint8_t header[] = {0xa1, 0x01, 0x27};
    struct wr w = wr_of(manifest, sizeof(manifest));
    struct wrap p;
    ck_assert_int_eq(manifest_encode(&m, &w), E_OK);
    wrap_bytes(&p, wr_done(&w), &m, NUMBERS(10, 11));
    struct signer s = test_signer(10);
    suit_digest_encode(payload, &p.e.digest);
    size_t n = cose_tbs(tbs, bytes_of(header, sizeof(header)), bytes_of(payload, sizeof(payload)));
    sign_make(&p.sigs[0], &s, tbs, n);
    p.e.sig[0].alg = COSE_ALG_EDDSA;
    ck_assert_int_eq(open_wrap(&p, &t), E_OK);
}
END_TEST

/* Envelopes written by hand around a good release: d8 6b a4 02 59 .... */
START_TEST(envelope_shape)
{
    struct trust t = test_trust();
    struct manifest m = plain_manifest(), out;
    struct test_object o, x;
    release(&o, &m, NUMBERS(10, 11));
    ck_assert_mem_eq(o.buf, "\xd8\x6b\xa4\x02\x58", 5);
    x = o;
    x.buf[1] = 0x6c; /* another tag */
    ck_assert_int_eq(manifest_open(&out, test_bytes(&x), &t), E_FORMAT);
    ck_assert_int_eq(manifest_open(&out, bytes_of(o.buf + 2, o.n - 2), &t), E_FORMAT); /* none */
    x = o;
    memmove(x.buf + 6, x.buf + 5, x.n - 5); /* a length of two bytes that fits one */
    x.buf[4] = 0x59;
    x.buf[5] = 0x00;
    x.n++;
    ck_assert_int_eq(manifest_open(&out, test_bytes(&x), &t), E_NONCANONICAL);
    x = o;
    x.buf[2] = 0xa5; /* a fifth member, after the tokens: 0x6e < 0x6f */
    memcpy(x.buf + x.n,
           "\x6f"
           "fwswarm.tokensx"
           "\x41\x00",
           18);
    x.n += 18;
    ck_assert_int_eq(manifest_open(&out, test_bytes(&x), &t), E_UNKNOWN);
    x = o;
    x.buf[2] = 0xa5;
    memcpy(x.buf + x.n, "\x14\x41\x00", 3); /* a severed install, out of order */
    x.n += 3;
    ck_assert_int_eq(manifest_open(&out, test_bytes(&x), &t), E_NONCANONICAL);
}
END_TEST

START_TEST(names)
{
    char name[80];
    memset(name, 'a', sizeof(name));
    name[65] = '\0';
    ck_assert(!release_name_valid(name, 64));
    name[64] = '\0';
    ck_assert(release_name_valid(name, 64));
    ck_assert(release_name_valid("Az09._+~-", 64));
    ck_assert(!release_name_valid("", 64));
    ck_assert(!release_name_valid("a b", 64));
    ck_assert(!release_name_valid("a/b", 64));
    ck_assert(!release_name_valid("a\n", 64));
    ck_assert(!release_name_valid("\xc3\xbc", 64));
    ck_assert_int_eq(release_compare(1, 9, 2, 1), -1);
    ck_assert_int_eq(release_compare(2, 1, 1, 9), 1);
    ck_assert_int_eq(release_compare(2, 1, 2, 3), -1);
    ck_assert_int_eq(release_compare(2, UINT64_MAX, 2, 3), 1);
    ck_assert_int_eq(release_compare(2, 3, 2, 3), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("manifest");
    TCase *c = tcase_create("manifest");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, uuids);
    tcase_add_test(c, two_signers_decode);
    tcase_add_test(c, two_signers_encode);
    tcase_add_test(c, draft_example_1);
    tcase_add_test(c, round_trip);
    tcase_add_test(c, golden_release);
    tcase_add_test(c, extreme_values);
    tcase_add_test(c, thresholds);
    tcase_add_test(c, other_fleets_and_roots);
    tcase_add_test(c, merge);
    tcase_add_test(c, every_truncation);
    tcase_add_test(c, every_flip);
    tcase_add_test(c, signed_nonsense);
    tcase_add_test(c, signed_nonsense_of_ours);
    tcase_add_test(c, not_encoded);
    tcase_add_test(c, unsigned_parts);
    tcase_add_test(c, old_algorithm_number);
    tcase_add_test(c, envelope_shape);
    tcase_add_test(c, names);
    suite_add_tcase(s, c);
    return test_run(s);
}
