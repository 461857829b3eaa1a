/* See suit.h.  Nested byte strings are written inside out: each inner sequence into a small buffer,
 * then wrapped.  Three rules of the draft are easy to get wrong and are kept in one place each:
 * a digest covers the byte string with its head (suit_digest); a signature covers the bare digest
 * array (suit_digest_encode); the authentication wrapper stands before the manifest, which its
 * key's order gives for free. */
#include "suit.h"

#include <assert.h>
#include <string.h>

#include "field.h"

#define TAG_ENVELOPE 107u
#define REPORT_ALL   15u /* reporting policy of conditions */
#define REPORT_FETCH 2u  /* reporting policy of fetch: on failure */
#define ALG_SHA256   (-16)
#define SEQUENCE_MAX (SUIT_CUSTOM_MAX + 160u)
#define INSTALL_MAX  (SUIT_URI_MAX + 32u)

enum suit_key { KEY_VERSION = 1, KEY_SEQUENCE = 2, KEY_COMMON = 3, KEY_VALIDATE = 7 };
enum suit_severable { KEY_INSTALL = 20, KEY_TEXT = 23 };
enum suit_member { MEMBER_AUTH = 2, MEMBER_MANIFEST = 3 };
enum suit_common { COMMON_COMPONENTS = 2, COMMON_SEQUENCE = 4 };
enum suit_command { COMMAND_VENDOR = 1, COMMAND_CLASS = 2, COMMAND_MATCH = 3 };
enum suit_directive { COMMAND_OVERRIDE = 20, COMMAND_FETCH = 21 };
enum suit_parameter { PARAM_VENDOR = 1, PARAM_CLASS = 2, PARAM_DIGEST = 3, PARAM_SIZE = 14 };
enum suit_more { PARAM_URI = 21, PARAM_CUSTOM = -257 };

static const uint8_t component_name[] = {0x00};

void suit_digest(struct digest *out, struct bytes content)
{
    uint8_t head[9];
    struct wr w = wr_of(head, sizeof(head));
    struct hash_sha256_state s;
    cbor_w_bstr_head(&w, content.n);
    hash_sha256_init(&s);
    hash_sha256_update(&s, head, wr_len(&w));
    if (content.n > 0)
        hash_sha256_update(&s, content.p, content.n);
    hash_sha256_final(&s, out);
}

static void write_digest(struct wr *w, const struct digest *d)
{
    cbor_w_array(w, 2);
    cbor_w_int(w, ALG_SHA256);
    cbor_w_bstr(w, bytes_of(d->b, sizeof(d->b)));
}

void suit_digest_encode(uint8_t out[static SUIT_DIGEST_LEN], const struct digest *d)
{
    struct wr w = wr_of(out, SUIT_DIGEST_LEN);
    write_digest(&w, d);
    assert(w.err == E_OK);
    assert(wr_len(&w) == SUIT_DIGEST_LEN);
}

static void read_digest(struct cbor_rd *r, struct digest *d)
{
    field_array(r, 2);
    int64_t alg = cbor_int(r);
    if (field_ok(r) && alg != ALG_SHA256)
        cbor_fail(r, E_UNKNOWN);
    field_fixed(r, d->b, sizeof(d->b));
    cbor_leave(r);
}

static enum err read_wrapped_digest(struct digest *d, struct bytes in)
{
    struct cbor_rd r = cbor_rd_of(in);
    read_digest(&r, d);
    return cbor_end(&r);
}

/* ---- writing a manifest ---- */

/* Puts what inner holds into w as a byte string; an inner overflow is an outer one. */
static void write_wrapped(struct wr *w, const struct wr *inner)
{
    if (inner->err != E_OK && w->err == E_OK)
        w->err = inner->err;
    cbor_w_bstr(w, wr_done(inner));
}

static void write_parameters(struct wr *w, const struct suit_manifest *m)
{
    uint8_t digest[SUIT_DIGEST_LEN];
    suit_digest_encode(digest, &m->digest);
    cbor_w_map(w, m->custom.n > 0 ? 5 : 4);
    cbor_w_int(w, PARAM_VENDOR);
    cbor_w_bstr(w, bytes_of(m->vendor_id, sizeof(m->vendor_id)));
    cbor_w_int(w, PARAM_CLASS);
    cbor_w_bstr(w, bytes_of(m->class_id, sizeof(m->class_id)));
    cbor_w_int(w, PARAM_DIGEST);
    cbor_w_bstr(w, bytes_of(digest, sizeof(digest)));
    cbor_w_int(w, PARAM_SIZE);
    cbor_w_uint(w, m->size);
    if (m->custom.n > 0) {
        cbor_w_int(w, PARAM_CUSTOM);
        cbor_w_bstr(w, m->custom);
    }
}

static void write_command(struct wr *w, uint64_t command, uint64_t policy)
{
    cbor_w_uint(w, command);
    cbor_w_uint(w, policy);
}

static void write_common(struct wr *w, const struct suit_manifest *m)
{
    uint8_t sequence[SEQUENCE_MAX], common[SEQUENCE_MAX + 16];
    struct wr s = wr_of(sequence, sizeof(sequence));
    struct wr c = wr_of(common, sizeof(common));
    cbor_w_array(&s, 6);
    cbor_w_uint(&s, COMMAND_OVERRIDE);
    write_parameters(&s, m);
    write_command(&s, COMMAND_VENDOR, REPORT_ALL);
    write_command(&s, COMMAND_CLASS, REPORT_ALL);
    cbor_w_map(&c, 2);
    cbor_w_uint(&c, COMMON_COMPONENTS);
    cbor_w_array(&c, 1);
    cbor_w_array(&c, 1);
    cbor_w_bstr(&c, bytes_of(component_name, sizeof(component_name)));
    cbor_w_uint(&c, COMMON_SEQUENCE);
    write_wrapped(&c, &s);
    write_wrapped(w, &c);
}

static void write_validate(struct wr *w)
{
    uint8_t buf[8];
    struct wr v = wr_of(buf, sizeof(buf));
    cbor_w_array(&v, 2);
    write_command(&v, COMMAND_MATCH, REPORT_ALL);
    write_wrapped(w, &v);
}

static void write_install(struct wr *w, struct bytes uri)
{
    uint8_t buf[INSTALL_MAX];
    struct wr s = wr_of(buf, sizeof(buf));
    cbor_w_array(&s, 6);
    cbor_w_uint(&s, COMMAND_OVERRIDE);
    cbor_w_map(&s, 1);
    cbor_w_int(&s, PARAM_URI);
    cbor_w_tstr(&s, uri);
    write_command(&s, COMMAND_FETCH, REPORT_FETCH);
    write_command(&s, COMMAND_MATCH, REPORT_ALL);
    write_wrapped(w, &s);
}

enum err suit_manifest_write(const struct suit_manifest *m, struct wr *w)
{
    if (m->custom.n > SUIT_CUSTOM_MAX || m->uri.n > SUIT_URI_MAX)
        return E_OVERSIZED;
    cbor_w_map(w, 4 + (m->uri.n > 0 ? 1u : 0u) + (m->has_text ? 1u : 0u));
    cbor_w_uint(w, KEY_VERSION);
    cbor_w_uint(w, 1);
    cbor_w_uint(w, KEY_SEQUENCE);
    cbor_w_uint(w, m->sequence);
    cbor_w_uint(w, KEY_COMMON);
    write_common(w, m);
    cbor_w_uint(w, KEY_VALIDATE);
    write_validate(w);
    if (m->uri.n > 0) {
        cbor_w_uint(w, KEY_INSTALL);
        write_install(w, m->uri);
    }
    if (m->has_text) {
        cbor_w_uint(w, KEY_TEXT);
        write_digest(w, &m->text);
    }
    return w->err;
}

/* ---- reading a manifest ---- */

static void read_command(struct cbor_rd *r, uint64_t command, uint64_t policy)
{
    field_exactly(r, command);
    field_exactly(r, policy);
}

static void read_parameters(struct cbor_rd *r, struct suit_manifest *m)
{
    uint64_t pairs = cbor_enter_map(r);
    uint32_t seen = 0;
    for (uint64_t i = 0; i < pairs && field_ok(r); i++) {
        switch (cbor_int(r)) {
        case PARAM_VENDOR:
            field_fixed(r, m->vendor_id, sizeof(m->vendor_id));
            seen |= 1;
            break;
        case PARAM_CLASS:
            field_fixed(r, m->class_id, sizeof(m->class_id));
            seen |= 2;
            break;
        case PARAM_DIGEST: {
            enum err e = read_wrapped_digest(&m->digest, cbor_bstr(r));
            if (e != E_OK)
                cbor_fail(r, e);
            seen |= 4;
            break;
        }
        case PARAM_SIZE:
            m->size = cbor_uint(r);
            seen |= 8;
            break;
        case PARAM_CUSTOM:
            m->custom = cbor_bstr(r);
            if (m->custom.n == 0 || m->custom.n > SUIT_CUSTOM_MAX)
                cbor_fail(r, E_FORMAT);
            break;
        default:
            cbor_fail(r, E_UNKNOWN);
        }
    }
    if (seen != 15)
        cbor_fail(r, E_FORMAT);
    cbor_leave(r);
}

static enum err read_shared_sequence(struct suit_manifest *m, struct bytes in)
{
    struct cbor_rd r = cbor_rd_of(in);
    if (cbor_enter_array(&r) != 6)
        cbor_fail(&r, E_UNKNOWN);
    field_exactly(&r, COMMAND_OVERRIDE);
    read_parameters(&r, m);
    read_command(&r, COMMAND_VENDOR, REPORT_ALL);
    read_command(&r, COMMAND_CLASS, REPORT_ALL);
    cbor_leave(&r);
    return cbor_end(&r);
}

static enum err read_common(struct suit_manifest *m, struct bytes in)
{
    uint8_t name[sizeof(component_name)];
    struct cbor_rd r = cbor_rd_of(in);
    field_map(&r, 2);
    field_key(&r, COMMON_COMPONENTS, COMMON_SEQUENCE);
    field_array(&r, 1);
    field_array(&r, 1);
    field_fixed(&r, name, sizeof(name));
    if (field_ok(&r) && memcmp(name, component_name, sizeof(name)) != 0)
        cbor_fail(&r, E_UNKNOWN);
    cbor_leave(&r);
    cbor_leave(&r);
    field_key(&r, COMMON_SEQUENCE, COMMON_SEQUENCE);
    struct bytes sequence = cbor_bstr(&r);
    cbor_leave(&r);
    enum err e = cbor_end(&r);
    return e != E_OK ? e : read_shared_sequence(m, sequence);
}

static enum err read_validate(struct bytes in)
{
    struct cbor_rd r = cbor_rd_of(in);
    if (cbor_enter_array(&r) != 2)
        cbor_fail(&r, E_UNKNOWN);
    read_command(&r, COMMAND_MATCH, REPORT_ALL);
    cbor_leave(&r);
    return cbor_end(&r);
}

static enum err read_install(struct suit_manifest *m, struct bytes in)
{
    struct cbor_rd r = cbor_rd_of(in);
    if (cbor_enter_array(&r) != 6)
        cbor_fail(&r, E_UNKNOWN);
    field_exactly(&r, COMMAND_OVERRIDE);
    field_map(&r, 1);
    if (cbor_int(&r) != PARAM_URI)
        cbor_fail(&r, E_UNKNOWN);
    m->uri = cbor_tstr(&r);
    if (m->uri.n == 0 || m->uri.n > SUIT_URI_MAX)
        cbor_fail(&r, E_RANGE);
    cbor_leave(&r);
    read_command(&r, COMMAND_FETCH, REPORT_FETCH);
    read_command(&r, COMMAND_MATCH, REPORT_ALL);
    cbor_leave(&r);
    return cbor_end(&r);
}

/* One member of the manifest map; returns its bit among those that must be there. */
static uint32_t read_member(struct cbor_rd *r, struct suit_manifest *m)
{
    enum err e = E_OK;
    uint32_t seen = 0;
    switch (cbor_int(r)) {
    case KEY_VERSION:
        field_format(r, 1);
        seen = 1;
        break;
    case KEY_SEQUENCE:
        m->sequence = cbor_uint(r);
        seen = 2;
        break;
    case KEY_COMMON:
        e = read_common(m, cbor_bstr(r));
        seen = 4;
        break;
    case KEY_VALIDATE:
        e = read_validate(cbor_bstr(r));
        seen = 8;
        break;
    case KEY_INSTALL:
        e = read_install(m, cbor_bstr(r));
        break;
    case KEY_TEXT:
        read_digest(r, &m->text);
        m->has_text = true;
        break;
    default:
        e = E_UNKNOWN;
    }
    if (e != E_OK)
        cbor_fail(r, e);
    return seen;
}

enum err suit_manifest_read(struct suit_manifest *m, struct bytes in)
{
    struct cbor_rd r = cbor_rd_of(in);
    uint32_t seen = 0;
    memset(m, 0, sizeof(*m));
    uint64_t pairs = cbor_enter_map(&r);
    for (uint64_t i = 0; i < pairs && field_ok(&r); i++)
        seen |= read_member(&r, m);
    if (seen != 15)
        cbor_fail(&r, E_FORMAT);
    cbor_leave(&r);
    return cbor_end(&r);
}

/* ---- envelopes ---- */

static void write_auth(struct wr *w, const struct suit_envelope *e)
{
    uint8_t buf[64 + SIGNERS_MAX * (COSE_SIGN1_MAX + 2)], one[COSE_SIGN1_MAX];
    uint8_t digest[SUIT_DIGEST_LEN];
    struct wr a = wr_of(buf, sizeof(buf));
    suit_digest_encode(digest, &e->digest);
    cbor_w_array(&a, 1 + (uint64_t)e->count);
    cbor_w_bstr(&a, bytes_of(digest, sizeof(digest)));
    for (uint32_t i = 0; i < e->count; i++) {
        struct wr s = wr_of(one, sizeof(one));
        cose_write(&s, &e->sig[i]);
        write_wrapped(&a, &s);
    }
    write_wrapped(w, &a);
}

enum err suit_envelope_write(const struct suit_envelope *e, struct wr *w)
{
    assert(e->count <= SIGNERS_MAX);
    cbor_w_tag(w, TAG_ENVELOPE);
    cbor_w_map(w, 2 + (e->text.n > 0 ? 1u : 0u) + (e->tokens.n > 0 ? 1u : 0u));
    cbor_w_uint(w, MEMBER_AUTH);
    write_auth(w, e);
    cbor_w_uint(w, MEMBER_MANIFEST);
    cbor_w_bstr(w, e->manifest);
    if (e->text.n > 0) {
        cbor_w_uint(w, KEY_TEXT);
        cbor_w_bstr(w, e->text);
    }
    if (e->tokens.n > 0) {
        cbor_w_tstr(w, bytes_str(SUIT_TOKENS_KEY));
        cbor_w_bstr(w, e->tokens);
    }
    return w->err;
}

static enum err read_auth(struct suit_envelope *e, struct bytes in)
{
    struct cbor_rd r = cbor_rd_of(in);
    uint32_t items = field_array_upto(&r, 1, 1 + SIGNERS_MAX);
    enum err err = read_wrapped_digest(&e->digest, cbor_bstr(&r));
    for (uint32_t i = 1; i < items && field_ok(&r) && err == E_OK; i++)
        err = cose_read(&e->sig[e->count++], cbor_bstr(&r));
    if (field_ok(&r) && err != E_OK)
        cbor_fail(&r, err);
    cbor_leave(&r);
    return cbor_end(&r);
}

/* Members with text keys are integrated payloads; ours is the only one known. */
static void read_payload(struct cbor_rd *r, struct suit_envelope *e)
{
    if (!bytes_equal(cbor_tstr(r), bytes_str(SUIT_TOKENS_KEY)))
        cbor_fail(r, E_UNKNOWN);
    e->tokens = cbor_bstr(r);
    if (e->tokens.n == 0)
        cbor_fail(r, E_FORMAT);
}

static uint32_t read_envelope_member(struct cbor_rd *r, struct suit_envelope *e)
{
    enum err err;
    if (cbor_peek(r) == CBOR_TSTR) {
        read_payload(r, e);
        return 0;
    }
    switch (cbor_int(r)) {
    case MEMBER_AUTH:
        err = read_auth(e, cbor_bstr(r));
        if (err != E_OK)
            cbor_fail(r, err);
        return 1;
    case MEMBER_MANIFEST:
        e->manifest = cbor_bstr(r);
        return 2;
    case KEY_TEXT:
        e->text = cbor_bstr(r);
        if (e->text.n == 0)
            cbor_fail(r, E_FORMAT);
        return 0;
    default:
        cbor_fail(r, E_UNKNOWN);
        return 0;
    }
}

enum err suit_envelope_read(struct suit_envelope *e, struct bytes in)
{
    struct cbor_rd r = cbor_rd_of(in);
    struct digest d;
    uint32_t seen = 0;
    memset(e, 0, sizeof(*e));
    if (cbor_tag(&r) != TAG_ENVELOPE)
        cbor_fail(&r, E_FORMAT);
    uint64_t pairs = cbor_enter_map(&r);
    for (uint64_t i = 0; i < pairs && field_ok(&r); i++)
        seen |= read_envelope_member(&r, e);
    if (seen != 3)
        cbor_fail(&r, E_FORMAT);
    cbor_leave(&r);
    enum err err = cbor_end(&r);
    if (err != E_OK)
        return err;
    suit_digest(&d, e->manifest);
    return digest_equal(&d, &e->digest) ? E_OK : E_HASH;
}

enum err suit_text_write(const char *vendor, const char *model, const char *version, struct wr *w)
{
    cbor_w_map(w, 1);
    cbor_w_tstr(w, bytes_str("en"));
    cbor_w_map(w, 1);
    cbor_w_array(w, 1);
    cbor_w_bstr(w, bytes_of(component_name, sizeof(component_name)));
    cbor_w_map(w, 3);
    cbor_w_uint(w, 1);
    cbor_w_tstr(w, bytes_str(vendor));
    cbor_w_uint(w, 2);
    cbor_w_tstr(w, bytes_str(model));
    cbor_w_uint(w, 6);
    cbor_w_tstr(w, bytes_str(version));
    return w->err;
}
