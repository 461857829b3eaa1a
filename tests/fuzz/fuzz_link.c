/* The link under hostile bytes, with fixed keys: the first byte of an input says where they enter.
 *
 * A fuzzer does not forge seals, so besides raw bytes there are ways in behind them: payloads
 * sealed by somebody who knows the fleet id, and plaintexts of records.  Damage to an honest
 * handshake must keep it from opening. */
#include "link/noise.h"
#include "link/payload.h"

#include "../unit/link_fleet.h"

#include <sodium.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum entry {
    RAW_TO_LISTENER,  /* u8 chunk, wire bytes */
    RAW_TO_DIALLER,   /* the same */
    HELLO_PAYLOAD,    /* payload of a sealed first message */
    LISTENER_PAYLOAD, /* payload of a sealed second message */
    DIALLER_PAYLOAD,  /* payload of a sealed third message */
    DAMAGE,           /* u8 frame, u16 bit: a flip in an honest handshake */
    RAW_RECORDS,      /* wire bytes of an open link */
    RECORD_PLAINTEXT, /* what a member seals */
    ENTRIES
};

static struct fleet fleet;
static struct node_fixture alice, bob;
static struct pair pair;
static bool ready;

static void start(void)
{
    if (!ready) {
        if (sodium_init() < 0)
            abort();
        fleet_start(&fleet, 0x10);
        fleet_advance(&fleet);
        node_start(&alice, &fleet, 0x20, 1, &fleet.enrol, 7);
        node_start(&bob, &fleet, 0x30, 2, &fleet.enrol, 8);
        node_revoke(&bob, fleet_revoke(&fleet, &fleet.enrol, 2, 1, 99));
        ready = true;
    }
    pair_start(&pair, &alice, &bob, 1);
}

static void raw(int side, const uint8_t *p, size_t n)
{
    if (n == 0)
        return;
    size_t chunk = p[0] ? p[0] : n;
    p++;
    n--;
    pair_collect(&pair, 0);
    while (n > 0 && link_state(&pair.link[side]) == LINK_HANDSHAKE) {
        size_t used, take = chunk < n ? chunk : n;
        enum err e = link_handshake(&pair.link[side], p, take, &used);
        assert(used <= take);
        assert((e != E_OK) == (link_state(&pair.link[side]) == LINK_DEAD));
        p += used;
        n -= used;
        (void)link_handshake_out(&pair.link[side]);
    }
}

static void evil_start(struct noise *n, bool initiator)
{
    uint8_t prologue[7 + 2 + 32], s[32] = {1}, e[32] = {2};
    struct digest psk;
    memcpy(prologue, "fwswarm\0\1", 9);
    memcpy(prologue + 9, fleet.body.fleet.b, 32);
    hash_domain(&psk, "fwswarm-psk", bytes_of(fleet.body.fleet.b, 32), bytes_of(NULL, 0));
    noise_init(n, NOISE_XXPSK0, initiator, bytes_of(prologue, sizeof prologue), psk.b, s, e);
}

/* Seals a payload into a frame and gives it to a side. */
static enum err evil_send(struct noise *n, int side, const uint8_t *p, size_t len)
{
    static uint8_t frame[LINK_HANDSHAKE_MAX + 2];
    struct wr w = wr_of(frame, sizeof frame);
    wr_u16(&w, 0);
    enum err e = noise_write_head(n, &w);
    assert(e == E_OK);
    size_t at = wr_len(&w), used;
    if (len > sizeof frame - at - AEAD_TAG)
        len = sizeof frame - at - AEAD_TAG;
    wr_copy(&w, p, len);
    noise_write_payload(n, &w, at);
    frame[0] = (uint8_t)((wr_len(&w) - 2) >> 8);
    frame[1] = (uint8_t)(wr_len(&w) - 2);
    return link_handshake(&pair.link[side], frame, wr_len(&w), &used);
}

static void evil_receive(struct noise *n, int side)
{
    struct pipe *pipe = &pair.pipe[side];
    pair_collect(&pair, side);
    size_t used;
    struct bytes payload;
    enum err e = noise_read_head(n, bytes_of(pipe->b + 2, pipe->n - 2), &used);
    assert(e == E_OK);
    e = noise_read_payload(n, pipe->b + 2 + used, pipe->n - 2 - used, &payload);
    assert(e == E_OK);
}

static void hello_payload(const uint8_t *p, size_t n)
{
    struct noise evil;
    evil_start(&evil, true);
    enum err e = evil_send(&evil, 1, p, n);
    assert((e == E_OK) == (n == PAYLOAD_HELLO));
}

static void identity_payload(int side, const uint8_t *p, size_t n)
{
    struct noise evil;
    evil_start(&evil, side == 1);
    if (side == 1) {
        static const uint8_t hello[PAYLOAD_HELLO] = {0};
        enum err e = evil_send(&evil, 1, hello, sizeof hello);
        assert(e == E_OK);
    }
    evil_receive(&evil, side);
    enum err e = evil_send(&evil, side, p, n);
    /* Nobody signs for the static key that is used here. */
    assert(e != E_OK);
    assert(link_state(&pair.link[side]) == LINK_DEAD);
}

static void damage(const uint8_t *p, size_t n)
{
    static const size_t frame_max = 2000;
    pair_run(&pair, FEED_WHOLE);
    assert(pair_is_open(&pair));
    if (n < 3)
        return;
    int frame = 1 + p[0] % 3;
    size_t bit = ((size_t)p[1] << 8 | p[2]) % (pair.frame_len[frame] * 8);
    assert(pair.frame_len[frame] < frame_max);
    pair_start(&pair, &alice, &bob, 1);
    pair.flip_frame = frame;
    pair.flip_bit = bit;
    pair_run(&pair, FEED_RANDOM);
    assert(!pair_is_open(&pair));
}

static void records(const uint8_t *p, size_t n)
{
    static uint8_t buf[1u << 16];
    pair_run(&pair, FEED_WHOLE);
    if (n > sizeof buf)
        n = sizeof buf;
    memcpy(buf, p, n);
    for (size_t at = 0; at < n;) {
        size_t used;
        struct bytes plain;
        enum err e = link_open_record(&pair.link[1], buf + at, n - at, &used, &plain);
        assert(used <= n - at);
        assert(plain.n < used || plain.n == 0);
        if (e || used == 0)
            return;
        at += used;
    }
}

static void record_plaintext(const uint8_t *p, size_t n)
{
    static uint8_t buf[LINK_HEAD_ROOM + LINK_RECORD_MAX + LINK_TAIL_ROOM];
    pair_run(&pair, FEED_WHOLE);
    if (n == 0 || n > LINK_RECORD_MAX)
        return;
    memcpy(buf + LINK_HEAD_ROOM, p, n);
    size_t sealed = link_seal_record(&pair.link[0], buf, n), used, sum = 0;
    struct bytes plain, msg;
    enum err e = link_open_record(&pair.link[1], buf, sealed, &used, &plain);
    assert(e == E_OK);
    assert(plain.n == n);
    do {
        e = link_next_message(&plain, &msg);
        assert(e == E_OK || msg.n == 0);
        for (size_t i = 0; i < msg.n; i++)
            sum += msg.p[i];
    } while (msg.n > 0);
    assert(plain.n == 0);
    (void)sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] >= ENTRIES)
        return 0;
    enum entry entry = (enum entry)data[0];
    data++;
    size--;
    start();
    if (entry == RAW_TO_LISTENER || entry == RAW_TO_DIALLER)
        raw(entry == RAW_TO_LISTENER ? 1 : 0, data, size);
    else if (entry == HELLO_PAYLOAD)
        hello_payload(data, size);
    else if (entry == LISTENER_PAYLOAD || entry == DIALLER_PAYLOAD)
        identity_payload(entry == DIALLER_PAYLOAD ? 1 : 0, data, size);
    else if (entry == DAMAGE)
        damage(data, size);
    else if (entry == RAW_RECORDS)
        records(data, size);
    else
        record_plaintext(data, size);
    pair_wipe(&pair);
    return 0;
}
