/* What `status` answers: the node's view of itself as JSON.  Byte strings are lower-case hex. */
#include "loop.h"

#include <assert.h>
#include <string.h>

static json_t *hex(const void *p, size_t n)
{
    char text[2 * 64 + 1];
    assert(n <= 64);
    hex_encode(text, p, n);
    return json_string(text);
}

static json_t *number(uint64_t v)
{
    return json_integer((json_int_t)v);
}

static json_t *error_or_null(enum err e)
{
    return e == E_OK ? json_null() : json_string(err_name(e));
}

static void set(json_t *o, const char *key, json_t *value)
{
    int r = json_object_set_new(o, key, value);
    assert(r == 0);
    (void)r;
}

static json_t *image_json(uint32_t slot, const struct node_image_status *st)
{
    const struct manifest *m = st->manifest;
    json_t *o = json_object();
    set(o, "slot", number(slot));
    set(o, "state", json_string(release_state_name(st->state)));
    set(o, "error", error_or_null(st->err));
    set(o, "newest", json_boolean(st->newest));
    set(o, "model", json_string(m->model));
    set(o, "version", json_string(m->version));
    set(o, "root_version", number(m->root_version));
    set(o, "sequence", number(m->sequence));
    set(o, "digest", hex(m->digest.b, 32));
    set(o, "manifest", hex(m->id.b, 32));
    set(o, "size", number(m->size));
    set(o, "pieces_have", number(st->pieces_have));
    set(o, "pieces", number(st->geo.pieces));
    set(o, "blocks_have", number(st->blocks_have));
    set(o, "blocks", number(st->geo.blocks));
    set(o, "bytes_origin", number(st->bytes_origin));
    set(o, "bytes_peer", number(st->bytes_peer));
    set(o, "bytes_resumed", number(st->bytes_resumed));
    set(o, "bytes_up", number(st->bytes_up));
    set(o, "bytes_wasted", number(st->bytes_wasted));
    set(o, "install_tries", number(st->install_tries));
    set(o, "install_code", json_integer(st->install_code));
    return o;
}

static json_t *images_json(struct host *h)
{
    json_t *list = json_array();
    struct node_image_status st;
    for (uint32_t i = 0; i < h->opt->limits->images; i++) {
        if (!node_image_status(h->node, i, &st) || st.manifest == NULL)
            continue;
        int r = json_array_append_new(list, image_json(i, &st));
        assert(r == 0);
        (void)r;
    }
    return list;
}

static json_t *links_json(struct host *h)
{
    json_t *list = json_array();
    struct node_link_status st;
    char addr[CONF_ADDR_TEXT];
    for (uint32_t i = 0; node_link_status(h->node, i, &st); i++) {
        json_t *o = json_object();
        set(o, "link", number(st.link));
        set(o, "node", hex(st.who.node.b, 32));
        set(o, "index", number(st.who.index));
        set(o, "role", json_string(role_name(st.who.role)));
        set(o, "addr", json_string(conf_print_addr(addr, &st.addr)));
        set(o, "dialled", json_boolean(st.dialled));
        set(o, "ready", json_boolean(st.ready));
        set(o, "bytes_up", number(st.bytes_up));
        set(o, "bytes_down", number(st.bytes_down));
        set(o, "requests_out", number(st.requests_out));
        set(o, "requests_in", number(st.requests_in));
        int r = json_array_append_new(list, o);
        assert(r == 0);
        (void)r;
    }
    return list;
}

static json_t *current_json(const struct node_status *st)
{
    json_t *o = json_object();
    bool known = !digest_is_zero(&st->current_digest);
    set(o, "version", json_string(st->current_version));
    set(o, "digest", known ? hex(st->current_digest.b, 32) : json_null());
    set(o, "sequence", number(st->current_sequence));
    set(o, "mismatch", json_boolean(st->current_mismatch));
    return o;
}

static json_t *cases_json(const struct node_status *st)
{
    static const char *const names[5] = {"c1_1", "c1_2", "c2_1", "c2_2", "c2_3"};
    json_t *o = json_object();
    for (int i = 0; i < 5; i++)
        set(o, names[i], number(st->cases[i]));
    return o;
}

static json_t *listen_json(const struct host *h)
{
    json_t *list = json_array();
    struct addr a;
    char text[CONF_ADDR_TEXT];
    for (uint32_t i = 0; host_listen_addr(h, i, &a); i++) {
        int r = json_array_append_new(list, json_string(conf_print_addr(text, &a)));
        assert(r == 0);
        (void)r;
    }
    return list;
}

json_t *host_status_json(struct host *h)
{
    struct node_status st;
    usec now = host_now(h);
    json_t *o = json_object(), *floor = json_object();
    node_status(h->node, &st);
    set(o, "ok", json_true());
    set(o, "self", hex(st.self.b, 32));
    set(o, "role", json_string(role_name(st.role)));
    set(o, "model", json_string(h->opt->device->model));
    set(o, "fleet", hex(h->opt->device->fleet.b, 32));
    set(o, "uptime_s", number((now - h->started_at) / SEC));
    set(o, "listen", listen_json(h));
    set(o, "current", current_json(&st));
    set(floor, "root_version", number(st.floor_root));
    set(floor, "sequence", number(st.floor_sequence));
    set(o, "floor", floor);
    set(o, "root_version", number(st.root_version));
    set(o, "revocation_root", number(st.revocation_root));
    set(o, "revocation_version", number(st.revocation_version));
    set(o, "known", number(st.known));
    set(o, "bans", number(st.bans));
    set(o, "fresh_s", st.fresh_at == 0 ? json_null() : number((now - st.fresh_at) / SEC));
    set(o, "cases", cases_json(&st));
    set(o, "verified_jointly", number(st.verified_jointly));
    set(o, "mismatches", number(st.mismatches));
    set(o, "bytes_up", number(st.bytes_up));
    set(o, "bytes_down", number(st.bytes_down));
    set(o, "images", images_json(h));
    set(o, "links", links_json(h));
    return o;
}
