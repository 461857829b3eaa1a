/* A release as the fleet sees it: our facts in a SUIT manifest, signatures judged by the root.
 *
 * The order of judgement is the point.  Structure and digest first, both cheap; then who signed, by
 * comparison with the newest root's list; then the signatures; only then is the manifest parsed,
 * and with the root version it states the signers are judged once more, so that an old statement
 * needs keys that were good then and are good now.
 *
 * What the fleet needs and SUIT has no field for is one private parameter, a map in a byte string.
 * Vendor and class identifiers and the text follow from names in it, so they are recomputed and
 * compared: a manifest has one encoding. */
#include "fwswarm/manifest.h"

#include <assert.h>
#include <string.h>

#include "field.h"
#include "signed.h"
#include "suit.h"

#define CUSTOM_FORMAT 1u
#define CUSTOM_PAIRS  8u
#define TEXT_MAX      256u
#define TOKENS_MAX    (16u + SIGNERS_MAX * 112u)
#define TOKEN_DOMAIN  "fwswarm-token"

_Static_assert(MODEL_MAX <= UUID_NAME_MAX, "names fit uuid_v5");

int release_compare(uint32_t root_a, uint64_t seq_a, uint32_t root_b, uint64_t seq_b)
{
    if (root_a != root_b)
        return root_a < root_b ? -1 : 1;
    if (seq_a != seq_b)
        return seq_a < seq_b ? -1 : 1;
    return 0;
}

bool release_name_valid(const char *s, size_t max)
{
    size_t n = 0;
    for (; s[n] != '\0'; n++) {
        char c = s[n];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool digit = c >= '0' && c <= '9';
        if (n == max || (!letter && !digit && strchr("._+~-", c) == NULL))
            return false;
    }
    return n > 0;
}

/* A vendor is a name for people: any text without control characters, so that printing it cannot
 * steer a terminal.  U+0080 to U+009F are control characters too. */
static bool vendor_valid(const char *s)
{
    const uint8_t *p = (const uint8_t *)s;
    for (; *p != 0; p++) {
        if (*p < 0x20 || *p == 0x7f)
            return false;
        if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
            return false;
    }
    return (size_t)(p - (const uint8_t *)s) <= MODEL_MAX;
}

static enum err manifest_check(const struct manifest *m)
{
    struct geometry g;
    if (m->root_version == 0)
        return E_RANGE;
    if (!release_name_valid(m->model, MODEL_MAX) || !release_name_valid(m->version, VERSION_MAX) ||
        !vendor_valid(m->vendor))
        return E_RANGE;
    return geometry_init(&g, m->size, m->piece_length);
}

/* ---- the manifest proper ---- */

static struct bytes write_custom(const struct manifest *m, uint8_t buf[static SUIT_CUSTOM_MAX])
{
    struct wr w = wr_of(buf, SUIT_CUSTOM_MAX);
    cbor_w_map(&w, CUSTOM_PAIRS);
    cbor_w_uint(&w, 1);
    cbor_w_uint(&w, CUSTOM_FORMAT);
    cbor_w_uint(&w, 2);
    cbor_w_bstr(&w, bytes_of(m->fleet.b, sizeof(m->fleet.b)));
    cbor_w_uint(&w, 3);
    cbor_w_uint(&w, m->root_version);
    cbor_w_uint(&w, 4);
    cbor_w_tstr(&w, bytes_str(m->model));
    cbor_w_uint(&w, 5);
    cbor_w_tstr(&w, bytes_str(m->version));
    cbor_w_uint(&w, 6);
    cbor_w_tstr(&w, bytes_str(m->vendor));
    cbor_w_uint(&w, 7);
    cbor_w_bstr(&w, bytes_of(m->tree_root.b, sizeof(m->tree_root.b)));
    cbor_w_uint(&w, 8);
    cbor_w_uint(&w, m->piece_length);
    return w.err == E_OK ? wr_done(&w) : bytes_of(NULL, 0);
}

static struct bytes write_text(const struct manifest *m, uint8_t buf[static TEXT_MAX])
{
    struct wr w = wr_of(buf, TEXT_MAX);
    enum err e = suit_text_write(m->vendor, m->model, m->version, &w);
    return e == E_OK ? wr_done(&w) : bytes_of(NULL, 0);
}

enum err manifest_encode(const struct manifest *m, struct wr *w)
{
    uint8_t custom[SUIT_CUSTOM_MAX], text[TEXT_MAX];
    struct suit_manifest s = {.sequence = m->sequence, .digest = m->digest, .size = m->size};
    enum err e = manifest_check(m);
    if (e != E_OK)
        return e;
    uuid_v5(s.vendor_id, uuid_dns, bytes_str(m->vendor));
    uuid_v5(s.class_id, s.vendor_id, bytes_str(m->model));
    s.custom = write_custom(m, custom);
    struct bytes shown = write_text(m, text);
    /* Within their buffers by the caps on names, so what fails is a name that is not UTF-8. */
    if (s.custom.n == 0 || shown.n == 0)
        return E_FORMAT;
    s.has_text = true;
    suit_digest(&s.text, shown);
    return suit_manifest_write(&s, w);
}

static enum err read_custom(struct manifest *m, struct bytes in)
{
    struct cbor_rd r = cbor_rd_of(in);
    field_map(&r, CUSTOM_PAIRS);
    field_key(&r, 1, CUSTOM_PAIRS);
    field_format(&r, CUSTOM_FORMAT);
    field_key(&r, 2, CUSTOM_PAIRS);
    field_fixed(&r, m->fleet.b, sizeof(m->fleet.b));
    field_key(&r, 3, CUSTOM_PAIRS);
    m->root_version = field_u32(&r);
    field_key(&r, 4, CUSTOM_PAIRS);
    field_text(&r, m->model, MODEL_MAX);
    field_key(&r, 5, CUSTOM_PAIRS);
    field_text(&r, m->version, VERSION_MAX);
    field_key(&r, 6, CUSTOM_PAIRS);
    field_text(&r, m->vendor, MODEL_MAX);
    field_key(&r, 7, CUSTOM_PAIRS);
    field_fixed(&r, m->tree_root.b, sizeof(m->tree_root.b));
    field_key(&r, 8, CUSTOM_PAIRS);
    m->piece_length = field_u32(&r);
    cbor_leave(&r);
    return cbor_end(&r);
}

static enum err identifiers_check(const struct manifest *m, const struct suit_manifest *s)
{
    uint8_t vendor_id[UUID_SIZE], class_id[UUID_SIZE];
    uuid_v5(vendor_id, uuid_dns, bytes_str(m->vendor));
    uuid_v5(class_id, vendor_id, bytes_str(m->model));
    if (memcmp(vendor_id, s->vendor_id, UUID_SIZE) != 0 ||
        memcmp(class_id, s->class_id, UUID_SIZE) != 0)
        return E_FORMAT;
    return E_OK;
}

/* Fills the fields that the manifest states or implies. */
static enum err manifest_parse(struct manifest *m, struct suit_manifest *s, struct bytes in)
{
    enum err e = suit_manifest_read(s, in);
    if (e != E_OK)
        return e;
    if (s->custom.n == 0 || !s->has_text)
        return E_FORMAT;
    e = read_custom(m, s->custom);
    if (e != E_OK)
        return e;
    m->sequence = s->sequence;
    m->digest = s->digest;
    m->size = s->size;
    e = manifest_check(m);
    if (e == E_OK)
        e = identifiers_check(m, s);
    if (e == E_OK)
        model_id(&m->model_id, &m->fleet, m->model);
    return e;
}

void manifest_id(struct digest *out, struct bytes manifest)
{
    suit_digest(out, manifest);
}

void manifest_sign(struct sig *out, const struct signer *s, const struct digest *id)
{
    uint8_t payload[SUIT_DIGEST_LEN];
    suit_digest_encode(payload, id);
    cose_sign(out, s, bytes_of(payload, sizeof(payload)));
}

/* ---- announce tokens ---- */

#define TOKEN_STATEMENT (4u + 32u + 8u + 32u)

static struct bytes token_statement(uint8_t buf[static TOKEN_STATEMENT], uint32_t root_version,
                                    const struct digest *model, uint64_t sequence,
                                    const struct digest *id)
{
    struct wr w = wr_of(buf, TOKEN_STATEMENT);
    wr_u32(&w, root_version);
    wr_copy(&w, model->b, sizeof(model->b));
    wr_u64(&w, sequence);
    wr_copy(&w, id->b, sizeof(id->b));
    assert(wr_len(&w) == TOKEN_STATEMENT);
    return wr_done(&w);
}

void token_sign(struct sig *out, const struct signer *s, const struct manifest *m)
{
    uint8_t buf[TOKEN_STATEMENT];
    struct digest model;
    model_id(&model, &m->fleet, m->model);
    sign_statement(out, s, TOKEN_DOMAIN, &m->fleet,
                   token_statement(buf, m->root_version, &model, m->sequence, &m->id));
}

bool token_verify(const struct sig *token, const struct key *signer, const struct digest *fleet,
                  uint32_t root_version, const struct digest *model_id, uint64_t sequence,
                  const struct digest *id)
{
    uint8_t buf[TOKEN_STATEMENT];
    return sign_statement_verify(token, signer, TOKEN_DOMAIN, fleet,
                                 token_statement(buf, root_version, model_id, sequence, id));
}

/* ---- envelopes ---- */

static struct bytes write_tokens(const struct key *signers, const struct sig *tokens,
                                 uint32_t count, uint8_t buf[static TOKENS_MAX])
{
    struct wr w = wr_of(buf, TOKENS_MAX);
    cbor_w_array(&w, count);
    for (uint32_t i = 0; i < count; i++) {
        cbor_w_array(&w, 2);
        cbor_w_bstr(&w, bytes_of(signers[i].b, sizeof(signers[i].b)));
        cbor_w_bstr(&w, bytes_of(tokens[i].b, sizeof(tokens[i].b)));
    }
    assert(w.err == E_OK);
    return wr_done(&w);
}

enum err envelope_encode(struct bytes manifest, const struct key *signers, const struct sig *sigs,
                         const struct sig *tokens, uint32_t count, struct wr *w)
{
    uint8_t text[TEXT_MAX], list[TOKENS_MAX], kid[SIGNERS_MAX][COSE_KID];
    struct suit_envelope e = {.manifest = manifest};
    struct suit_manifest s;
    struct manifest m;
    struct digest d;
    if (count == 0)
        return E_THRESHOLD;
    if (count > SIGNERS_MAX)
        return E_LIMIT;
    memset(&m, 0, sizeof(m));
    enum err err = manifest_parse(&m, &s, manifest);
    if (err != E_OK)
        return err;
    e.text = write_text(&m, text);
    suit_digest(&d, e.text);
    /* A text that we did not write cannot be recovered from its digest: it stays severed. */
    if (!digest_equal(&d, &s.text))
        e.text = bytes_of(NULL, 0);
    suit_digest(&e.digest, manifest);
    e.count = count;
    for (uint32_t i = 0; i < count; i++) {
        cose_kid(kid[i], &signers[i]);
        e.sig[i].alg = COSE_ALG_ED25519;
        e.sig[i].kid = bytes_of(kid[i], COSE_KID);
        e.sig[i].sig = bytes_of(sigs[i].b, sizeof(sigs[i].b));
    }
    e.tokens = write_tokens(signers, tokens, count, list);
    return suit_envelope_write(&e, w);
}

/* The signers as the tokens name them, one for each signature in the same order. */
struct signer_list {
    struct key key[SIGNERS_MAX];
    struct sig token[SIGNERS_MAX];
};

static enum err read_signers(struct signer_list *list, const struct suit_envelope *e)
{
    struct cbor_rd r = cbor_rd_of(e->tokens);
    if (e->tokens.n == 0)
        return E_FORMAT;
    field_array(&r, e->count);
    for (uint32_t i = 0; i < e->count; i++) {
        field_array(&r, 2);
        field_fixed(&r, list->key[i].b, sizeof(list->key[i].b));
        field_fixed(&r, list->token[i].b, sizeof(list->token[i].b));
        cbor_leave(&r);
    }
    cbor_leave(&r);
    enum err err = cbor_end(&r);
    for (uint32_t i = 0; i < e->count && err == E_OK; i++) {
        uint8_t kid[COSE_KID];
        cose_kid(kid, &list->key[i]);
        if (!bytes_equal(e->sig[i].kid, bytes_of(kid, sizeof(kid))) ||
            e->sig[i].sig.n != sizeof(struct sig))
            err = E_FORMAT;
    }
    return err;
}

static enum err envelope_read(struct suit_envelope *e, struct signer_list *list,
                              struct bytes envelope)
{
    if (envelope.n > MANIFEST_MAX)
        return E_OVERSIZED;
    enum err err = suit_envelope_read(e, envelope);
    return err != E_OK ? err : read_signers(list, e);
}

/* The manifest inside, and the severed text when it came along. */
static enum err envelope_parse(struct manifest *out, const struct suit_envelope *e)
{
    struct suit_manifest s;
    struct digest d;
    out->id = e->digest;
    enum err err = manifest_parse(out, &s, e->manifest);
    if (err != E_OK || e->text.n == 0)
        return err;
    suit_digest(&d, e->text);
    return digest_equal(&d, &s.text) ? E_OK : E_HASH;
}

static enum err verify_signatures(const struct suit_envelope *e, const struct signer_list *list)
{
    uint8_t payload[SUIT_DIGEST_LEN];
    suit_digest_encode(payload, &e->digest);
    for (uint32_t i = 0; i < e->count; i++) {
        enum err err = cose_verify(&e->sig[i], &list->key[i], bytes_of(payload, sizeof(payload)));
        if (err != E_OK)
            return err;
    }
    return E_OK;
}

/* Tokens travel alone on the LAN, so one that does not verify must not be carried further. */
static enum err verify_tokens(const struct manifest *m, const struct suit_envelope *e,
                              const struct signer_list *list)
{
    for (uint32_t i = 0; i < e->count; i++) {
        if (!token_verify(&list->token[i], &list->key[i], &m->fleet, m->root_version, &m->model_id,
                          m->sequence, &m->id))
            return E_SIGNATURE;
    }
    return E_OK;
}

static void add_signers(struct manifest *m, const struct suit_envelope *e,
                        const struct signer_list *list)
{
    for (uint32_t i = 0; i < e->count; i++) {
        bool again = false;
        for (uint32_t k = 0; k < i && !again; k++)
            again = key_equal(&list->key[k], &list->key[i]);
        if (again)
            continue;
        m->signers[m->signers_count] = list->key[i];
        m->tokens[m->signers_count++] = list->token[i];
    }
}

static enum err envelope_open(struct manifest *out, struct bytes envelope, const struct trust *t)
{
    struct suit_envelope e;
    struct signer_list list;
    enum err err = envelope_read(&e, &list, envelope);
    if (err == E_OK)
        err = signers_judge(list.key, e.count, &t->root.release);
    if (err == E_OK)
        err = verify_signatures(&e, &list);
    if (err == E_OK)
        err = envelope_parse(out, &e);
    if (err != E_OK)
        return err;
    if (!digest_equal(&out->fleet, &t->root.fleet))
        return E_FLEET;
    err = signers_judge_release(list.key, e.count, t, out->root_version);
    if (err == E_OK)
        err = verify_tokens(out, &e, &list);
    if (err == E_OK)
        add_signers(out, &e, &list);
    return err;
}

enum err manifest_open(struct manifest *out, struct bytes envelope, const struct trust *t)
{
    memset(out, 0, sizeof(*out));
    enum err err = envelope_open(out, envelope, t);
    /* Nothing of what was not proven may be used by mistake. */
    if (err != E_OK)
        memset(out, 0, sizeof(*out));
    return err;
}

enum err manifest_read(struct manifest *out, struct bytes envelope, struct bytes *manifest,
                       struct sig sigs[SIGNERS_MAX])
{
    struct suit_envelope e;
    struct signer_list list;
    memset(out, 0, sizeof(*out));
    *manifest = bytes_of(NULL, 0);
    enum err err = envelope_read(&e, &list, envelope);
    if (err == E_OK)
        err = envelope_parse(out, &e);
    if (err != E_OK)
        return err;
    for (uint32_t i = 0; i < e.count; i++) {
        out->signers[i] = list.key[i];
        out->tokens[i] = list.token[i];
        memcpy(sigs[i].b, e.sig[i].sig.p, sizeof(sigs[i].b));
    }
    out->signers_count = e.count;
    *manifest = e.manifest;
    return E_OK;
}
