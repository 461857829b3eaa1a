/* Memory of a scenario, reckoned from the sizes of what it is made of.
 *
 * A node is its core, the bits of its disk, and its links with what is in flight on them.  How many
 * links a node comes to have and how much is in flight is the core's doing; the shares below were
 * measured (peak of runs of 100 to 1,000 devices) and rounded up. */
#include "room.h"

#include "fwswarm/conf.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINKS_A_NODE   16u /* each has two ends, and each end is a node's */
#define PARCELS_A_NODE 96u
#define TICKS_A_NODE   128u
#define RECORDS_A_NODE 2048u /* bytes: what a disk holds beside images */
#define PROGRAM        (16u << 20)

static uint64_t largest_image(const struct scenario *s)
{
    uint64_t largest = 0;
    for (uint32_t i = 0; i < s->releases; i++)
        if (s->release[i].size > largest)
            largest = s->release[i].size;
    return largest;
}

/* Half of a core is written whatever it does; the rest grows with the blocks of its image. */
static uint64_t core_bytes(const struct limits *limits, uint64_t blocks)
{
    uint64_t half = node_size(limits) / 2;
    uint64_t open = blocks < limits->open_blocks ? blocks : limits->open_blocks;
    return half + half * open / limits->open_blocks;
}

static uint64_t node_bytes(const struct scenario *s, const struct limits *limits)
{
    uint64_t blocks = largest_image(s) / BLOCK_LEN + 1, chunks = blocks / CHUNK_BLOCKS + 1;
    uint64_t slots = s->releases < limits->images ? s->releases : limits->images;
    uint64_t disk = slots * (blocks / 8 + chunks / 8 + 32) +
                    limits->images * sizeof(struct disk_slot) + RECORDS_A_NODE;
    uint64_t links = LINKS_A_NODE / 2 * sizeof(struct wire_link) +
                     PARCELS_A_NODE * sizeof(struct parcel) + TICKS_A_NODE * sizeof(struct tick);
    return sizeof(struct sim_node) + core_bytes(limits, blocks) + disk + links;
}

uint64_t room_needed(const struct scenario *s)
{
    uint64_t device = node_bytes(s, &limits_device), verify = node_bytes(s, &limits_verify);
    uint64_t sum = PROGRAM;
    for (uint32_t i = 0; i < s->groups; i++) {
        const struct scn_group *g = &s->group[i];
        uint64_t places = g->site != NONE ? s->site[g->site].count : 1;
        sum += places * g->count * (g->verify ? verify : device);
    }
    return sum;
}

uint64_t room_available(void)
{
    FILE *f = fopen("/proc/meminfo", "r");
    char line[128];
    uint64_t kib = 0;
    if (f == NULL)
        return 0;
    while (fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "MemAvailable: %" SCNu64, &kib) == 1)
            break;
    fclose(f);
    return kib * 1024;
}

bool room_lacks(const struct scenario *s, uint64_t available, char *why, size_t cap)
{
    uint64_t needed = room_needed(s);
    if (available == 0 || needed <= available)
        return false;
    uint64_t nodes = scenario_nodes(s);
    (void)snprintf(why, cap,
                   "%" PRIu64 " nodes take about %" PRIu64 " MiB, and %" PRIu64
                   " MiB are free; about %" PRIu64 " would fit, lower count= or --peers",
                   nodes, needed >> 20, available >> 20,
                   nodes * (available >> 20) / (needed >> 20));
    return true;
}
