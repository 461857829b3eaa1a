/* Records of a disk: a sorted list, and bytes that disks share.
 *
 * Ten thousand disks hold the same root and the same few manifests, so one copy does for all. */
#include "record.h"

#include "disk.h"

#include <string.h>

static size_t record_place(const struct disk *d, uint32_t object)
{
    size_t lo = 0, hi = d->records;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (d->record[mid].object < object)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct blob *record_find(const struct disk *d, uint32_t object)
{
    size_t i = record_place(d, object);
    return i < d->records && d->record[i].object == object ? d->record[i].blob : NULL;
}

void record_put(struct disk *d, uint32_t object, struct blob *blob)
{
    size_t i = record_place(d, object);
    bool there = i < d->records && d->record[i].object == object;
    if (there)
        blob_drop(d->record[i].blob);
    if (there && blob == NULL) {
        memmove(&d->record[i], &d->record[i + 1], (d->records - i - 1) * sizeof(*d->record));
        d->records--;
    } else if (there) {
        d->record[i].blob = blob;
    } else if (blob != NULL) {
        sim_grow(&d->record, &d->records_cap, d->records + 1, sizeof(*d->record));
        memmove(&d->record[i + 1], &d->record[i], (d->records - i) * sizeof(*d->record));
        d->record[i] = (struct disk_record){object, blob};
        d->records++;
    }
}

void disk_load(struct world *w, uint32_t node)
{
    struct disk *d = &w->node[node].disk;
    for (size_t i = 0; i < d->records; i++) {
        struct event ev = {.type = EV_LOADED};
        ev.loaded.object = d->record[i].object;
        ev.loaded.data = bytes_of(d->record[i].blob->data, d->record[i].blob->len);
        world_give(w, node, &ev);
    }
}

struct blob *record_blob(struct world *w, uint32_t object, struct bytes data)
{
    struct blob *same = NULL;
    if (data.n == 0)
        return NULL;
    if (object_kind_of(object) == OBJ_ROOT)
        same = w->fleet.root;
    for (uint32_t i = 0; object_kind_of(object) == OBJ_MANIFEST && i < w->releases; i++)
        if (bytes_equal(data, bytes_of(w->release[i].envelope->data, w->release[i].envelope->len)))
            same = w->release[i].envelope;
    if (same != NULL && bytes_equal(data, bytes_of(same->data, same->len)))
        return blob_hold(same);
    return blob_make(data.p, data.n);
}
