/* A plain array, an entry for each link there can be, searched when a neighbour opens or shuts an
 * image.  While it has the image open its count is kept with the link, where each block is counted.
 */
#include "swarm/tally.h"

#include <assert.h>

#define HALF_TIME (600 * SEC)
#define TIMES     2u  /* an image, and it again */
#define SPARE     64u /* blocks that came late or were lost, on images of a few blocks */

uint32_t taken_lately(const struct taken *t, usec now)
{
    if (now < t->since + HALF_TIME)
        return t->blocks;
    usec halves = (now - t->since) / HALF_TIME;
    return halves < 32 ? t->blocks >> halves : 0;
}

void taken_add(struct taken *t, usec now)
{
    if (t->blocks == 0) {
        t->since = now;
    } else if (now >= t->since + HALF_TIME) {
        t->blocks = taken_lately(t, now);
        t->since = now - (now - t->since) % HALF_TIME;
    }
    if (t->blocks < UINT32_MAX)
        t->blocks++;
}

uint32_t taken_most(uint32_t image_blocks)
{
    return TIMES * image_blocks + SPARE;
}

void tally_init(struct tally *t, struct tally_entry *mem, uint32_t cap)
{
    assert(cap > 0);
    *t = (struct tally){.entry = mem, .cap = cap};
}

static struct tally_entry *find(const struct tally *t, const struct key *who,
                                const struct digest *image)
{
    for (uint32_t i = 0; i < t->cap; i++) {
        struct tally_entry *e = &t->entry[i];
        if (e->taken.blocks > 0 && key_equal(&e->who, who) && digest_equal(&e->image, image))
            return e;
    }
    return NULL;
}

void tally_keep(struct tally *t, const struct key *who, const struct digest *image,
                const struct taken *taken, usec now)
{
    struct tally_entry *place = find(t, who, image);
    for (uint32_t i = 0; i < t->cap && place == NULL; i++) {
        if (t->entry[i].taken.blocks == 0)
            place = &t->entry[i];
    }
    if (place == NULL) {
        place = t->entry;
        for (uint32_t i = 1; i < t->cap; i++) {
            if (taken_lately(&t->entry[i].taken, now) < taken_lately(&place->taken, now))
                place = &t->entry[i];
        }
        if (taken_lately(&place->taken, now) > taken_lately(taken, now))
            return;
    }
    *place = (struct tally_entry){.who = *who, .image = *image, .taken = *taken};
}

struct taken tally_find(const struct tally *t, const struct key *who, const struct digest *image)
{
    const struct tally_entry *e = find(t, who, image);
    return e != NULL ? e->taken : (struct taken){.blocks = 0};
}
