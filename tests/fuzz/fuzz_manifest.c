/* Envelopes: the whole judgement, and below it the readers that signatures would keep a fuzzer from
 * reaching.  What a reader accepts, its writer gives back byte for byte. */
#include "fwswarm/manifest.h"

#include <stdlib.h>

#include "../unit/fleet.h"
#include "image/suit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_manifest(struct bytes in)
{
    static uint8_t again[MANIFEST_MAX];
    struct suit_manifest m;
    struct wr w = wr_of(again, sizeof(again));
    if (suit_manifest_read(&m, in) != E_OK)
        return;
    require(suit_manifest_write(&m, &w) == E_OK);
    require(bytes_equal(wr_done(&w), in));
}

static void check_envelope(struct bytes in)
{
    static uint8_t again[MANIFEST_MAX];
    struct suit_envelope e;
    struct wr w = wr_of(again, sizeof(again));
    if (in.n > MANIFEST_MAX)
        return;
    enum err err = suit_envelope_read(&e, in);
    if (err != E_OK && err != E_HASH)
        return;
    check_manifest(e.manifest);
    require(suit_envelope_write(&e, &w) == E_OK);
    require(bytes_equal(wr_done(&w), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct trust t;
    struct bytes in = bytes_of(data, size), inner;
    struct manifest m, read;
    struct sig sigs[SIGNERS_MAX];
    if (t.root.version == 0)
        t = test_trust();
    check_manifest(in);
    check_envelope(in);
    enum err e = manifest_read(&read, in, &inner, sigs);
    if (manifest_open(&m, in, &t) == E_OK) {
        struct geometry g;
        require(e == E_OK);
        require(digest_equal(&m.id, &read.id));
        require(m.signers_count >= t.root.release.threshold);
        require(geometry_init(&g, m.size, m.piece_length) == E_OK);
        require(release_name_valid(m.model, MODEL_MAX));
        require(release_name_valid(m.version, VERSION_MAX));
    }
    return 0;
}
