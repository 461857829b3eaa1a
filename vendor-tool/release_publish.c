#include "verbs.h"
struct options {
    bool unused;
};
static const struct flag flags[] = {FLAG_END};
static int run(const struct verb *v, int argc, char **argv)
{
    struct options opt = {0};
    struct list operands;
    int status;
    if (!args_parse(v, argc, argv, &opt, &operands, &status))
        return status;
    return fail(STATUS_NET, "release publish: not there yet");
}
const struct verb verb_release_publish = {
    "release", "publish", "FILE.suit",
    0,         1,         "Hand a release, a withdrawal, roots and revocations to a verify node",
    "",        flags,     run,
};
