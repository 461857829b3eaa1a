/* What the vendor must not forget: which index went to which device, which sequence to which
 * release.
 *
 * Two JSON files in the fleet's directory, kept under its lock and written durably *before* the
 * thing they record is made: a crash may waste an index or a sequence, never hand one out twice.
 * Numbers of releases beyond 2^63-1 are not given by this tool. */
#pragma once

#include "fleetdir.h"

#include "fwswarm/manifest.h"

#include <jansson.h>

/* ---- devices.json ---- */
struct devices {
    json_t *root;
    struct path path;
};

struct device_entry {
    uint32_t index;
    const char *role, *model, *serial, *key; /* lent; key in hex */
};

/* Starts an empty file in a new fleet. */
int devices_create(const char *dir);
/* may_start: an enrolment machine begins with no file. */
int devices_open(struct devices *d, const char *dir, bool may_start);
void devices_close(struct devices *d);
/* A row of indices that rises on its own: an enrolment key's lease, or the verify nodes. */
struct index_row {
    struct hex name;
    uint32_t first, last;
};
struct index_row index_row_lease(const struct enrol_lease *lease);
/* Verify nodes have the upper half of all indices, so that a machine which enrols devices and the
 * one which changes roots never hand out the same. */
#define VERIFY_INDEX_FIRST 0x80000000u
struct index_row index_row_verify(void);

/* The next index of a row: never below what was given before.  False when it is used up. */
bool devices_next(const struct devices *d, const struct index_row *row, uint32_t *index);
/* Notes indices as given, and writes the file. */
int devices_add(struct devices *d, const struct index_row *row, const struct device_entry *entries,
                uint32_t count);
uint32_t devices_count(const struct devices *d);
struct device_entry devices_at(const struct devices *d, uint32_t i);

/* ---- releases.json ---- */
struct releases {
    json_t *root;
    struct path path;
};

struct release_entry {
    const char *model, *version, *digest, *manifest; /* lent; hex */
    uint32_t root_version;
    uint64_t sequence;
    bool withdrawn;
    uint32_t signers_count;
    struct key signers[SIGNERS_MAX];
};

int releases_open(struct releases *r, const char *dir);
void releases_close(struct releases *r);
/* Notes a release; one with the same model, root version and sequence is replaced. */
int releases_add(struct releases *r, const struct manifest *m);
/* Notes that a manifest was withdrawn; one that is not there is no error. */
int releases_withdraw(struct releases *r, const struct digest *manifest);
uint32_t releases_count(const struct releases *r);
struct release_entry releases_at(const struct releases *r, uint32_t i);
/* The newest of a model, by (root version, sequence); false when there is none. */
bool releases_last(const struct releases *r, const char *model, struct release_entry *out);
/* The one that has this place in the order; false when there is none. */
bool releases_find(const struct releases *r, const char *model, uint32_t root_version,
                   uint64_t sequence, struct release_entry *out);
