/* A scenario: who is there, what joins them, what is published, and what goes wrong.
 *
 * Filled by the parser from a file, by flags, or drawn at random; judged once; then read by
 * everything else and never changed.  A run is a function of a scenario alone: the same one gives
 * the same trace hash on every machine.  Integers only: microseconds, bytes, bytes a second,
 * thousandths.
 *
 *   scenario.c        defaults, flags' values, the judge
 *   scenario_read.c   from text
 *   scenario_write.c  to text, such that reading it again gives the same scenario
 *   scenario_draw.c   from a seed */
#pragma once

#include "fwswarm/core.h"
#include "fwswarm/manifest.h"
#include "mem.h"

#define SCN_NAME      31u
#define SCN_SITES     16u /* lines of the file; a line may stand for many sites */
#define SCN_GROUPS    32u
#define SCN_MODELS    8u
#define SCN_RELEASES  16u
#define SCN_FAULTS    64u
#define SCN_NODES_MAX 60000u /* beyond, addresses run out */

/* Places with one line to the rest of the world.  Nodes of one site see each other directly: what
 * passes between them does not use the site's line, and announcements to the LAN reach them. */
struct scn_site {
    char name[SCN_NAME + 1];
    uint32_t count;    /* how many such places */
    uint64_t up, down; /* of each place's shared line; 0 = no limit but the nodes' own */
    usec rtt;          /* between two nodes of the place */
    bool lan;          /* multicast reaches its nodes */
};

/* What a node does.  All but BEHAVE_HONEST are played by adversary.c. */
enum behaviour {
    BEHAVE_HONEST,
    BEHAVE_GARBAGE,      /* answers with blocks that fail their hash */
    BEHAVE_FALSE_HAVE,   /* claims pieces that it does not hold, and never sends them */
    BEHAVE_HIDER,        /* holds, and says that it does not */
    BEHAVE_ENDLESS,      /* asks for the same blocks for ever */
    BEHAVE_SLOW_LORIS,   /* opens links and says next to nothing on them */
    BEHAVE_LINK_FLOOD,   /* dials everybody, again and again */
    BEHAVE_CAST_FLOOD,   /* fills the LAN with datagrams */
    BEHAVE_STALE,        /* offers an old manifest as the newest */
    BEHAVE_LYING_VERIFY, /* a verify node that says that nothing newer exists */
    BEHAVE_ECLIPSE,      /* answers with peers that are its own kind or do not exist */
    BEHAVE_CLONES,       /* many nodes with one stolen key */
    BEHAVE_FORGER,       /* offers manifests that the vendor did not sign */
    BEHAVE_ENDLESS_DATA, /* sends what nobody asked for */
    BEHAVE_MIXER,        /* gives the blocks, hashes and manifests of another release */
    BEHAVE_WRONG_MODEL,  /* offers another model's releases */
    BEHAVE_COUNT,
};

struct scn_group {
    char name[SCN_NAME + 1];
    uint32_t count; /* nodes; of each place when site says many */
    bool verify;    /* verify nodes; else devices */
    enum behaviour behaviour;
    uint64_t up, down;  /* each node's own line */
    usec rtt;           /* between two nodes of this group that share no site */
    uint32_t site;      /* line in site[], or NONE */
    bool nat;           /* nobody outside its site can open a link to it */
    uint32_t model;     /* devices: in model[] */
    uint64_t installed; /* sequence of what it runs; 0: it does not know */
    bool tampered;      /* what it runs has the version of `installed` and another digest */
    usec join;          /* boots then, within a tenth of a second */
};

struct scn_release {
    uint32_t model;
    char version[VERSION_MAX + 1];
    uint64_t sequence;
    uint64_t size;
    usec at;        /* the vendor gives it to the first live verify node then */
    bool withdrawn; /* the vendor's stop for it is published at stop_at */
    usec stop_at;
};

/* Who signs releases.  All zero: one key, which must. */
struct scn_keys {
    uint32_t count, threshold; /* keys that the root lists, and how many of them must sign */
    uint32_t stolen;           /* so many of the first root's are known to forgers */
    usec rotate_at;            /* then a second root lists other keys, and what is released from
                                * then on is signed by those; 0: never */
};

/* Numbers are part of the format: a fault keeps its number when others are left out. */
enum fault_kind {
    FAULT_CRASH,      /* power goes and is back after `lasts`; unsynced data is lost */
    FAULT_SITE_CRASH, /* the same, all nodes of a place at once */
    FAULT_PARTITION,  /* nothing passes between the targets and all others; both ways */
    FAULT_ONE_WAY,    /* nothing passes from the targets to the others */
    FAULT_LOSS,       /* strength: thousandths of messages that are lost once; loss is delay */
    FAULT_BREAK,      /* strength: links a minute and node that break */
    FAULT_SLOW,       /* strength: thousandths of the node's rates that are left */
    FAULT_STALL,      /* its links stay up and nothing moves */
    FAULT_CHURN,      /* leaves and comes back, again and again; strength: mean seconds between */
    FAULT_DISK_FULL,  /* every store and save fails with E_SPACE */
    FAULT_DISK_ERROR, /* strength: thousandths of disk operations that fail with E_IO */
    FAULT_BIT_ROT,    /* strength: blocks of the held image that rot, found when they are read */
    FAULT_SLOW_DISK,  /* strength: how many times as long a commit takes */
    FAULT_CLOCK,      /* strength 0: its wall clock says 1970; 1: a year ahead */
    FAULT_LAN_LOSS,   /* strength: thousandths of datagrams that do not arrive */
    FAULT_GONE,       /* the targets leave and do not come back */
    FAULT_COUNT,
};

/* Whom a fault strikes: `count` nodes drawn from a group's or a site's nodes, or all of them. */
struct scn_fault {
    uint32_t number; /* counts from 1 */
    enum fault_kind kind;
    uint32_t group; /* in group[]; NONE: see site */
    uint32_t site;  /* in site[]; NONE with group NONE: all devices */
    uint32_t count; /* nodes, or places for a site fault; 0 = all of them */
    usec at, lasts; /* lasts: until the end of the chaos when 0 */
    uint32_t strength;
};

struct scenario {
    uint64_t seed;
    usec until;       /* 0 = three times the bound and ten minutes after the last fault healed */
    bool vendor_gone; /* after the last release nothing comes from the vendor, and the verify node
                       * that took it leaves once another node holds it */
    uint32_t sites, groups, models, releases, faults;
    char model[SCN_MODELS][MODEL_MAX + 1];
    struct scn_keys keys;
    struct scn_site site[SCN_SITES];
    struct scn_group group[SCN_GROUPS];
    struct scn_release release[SCN_RELEASES];
    struct scn_fault fault[SCN_FAULTS];
};

/* What flags without a file mean: `verify` verify nodes and one group of devices, one release. */
void scenario_default(struct scenario *s);
/* Of each: all nodes of the scenario, its devices, its verify nodes; adversaries count in the first
 * only. */
uint32_t scenario_nodes(const struct scenario *s);
uint32_t scenario_devices(const struct scenario *s);
uint32_t scenario_verify(const struct scenario *s);
/* Why it cannot be run, in one line that names the thing, the value and the mend; false: it can. */
bool scenario_wrong(const struct scenario *s, char *why, size_t cap);

/* A text position for messages: file and line. */
struct scn_place {
    const char *file;
    uint32_t line; /* 0: none */
};
/* Reads a file's text on top of the defaults.  False with place and why, one line. */
bool scenario_read(struct scenario *s, const char *text, size_t len, uint32_t *line, char *why,
                   size_t cap);
/* Writes it as text, in the order of the structure.  Returns the length; cap bounds what is kept.
 */
size_t scenario_write(const struct scenario *s, char *out, size_t cap);
/* A random scenario of `least` to `most` nodes with a random subset of faults and adversaries. */
void scenario_draw(struct scenario *s, uint64_t seed, uint32_t least, uint32_t most);

extern const char *const behaviour_name[BEHAVE_COUNT];
extern const char *const fault_name[FAULT_COUNT];
