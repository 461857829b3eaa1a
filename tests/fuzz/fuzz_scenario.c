/* Scenario files from anybody: what is taken passes the judge and reads back from what is written;
 * what is refused is refused in one line that a terminal can show, at a line that is there. */
#include "scenario.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void refused(const uint8_t *data, size_t size, uint32_t line, const char *why)
{
    uint32_t lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    assert(line <= lines);
    assert(why[0] != '\0');
    for (const char *p = why; *p != '\0'; p++)
        assert((uint8_t)*p >= 0x20 && *p != 0x7f);
}

static void taken(const struct scenario *s)
{
    char why[512], *text = malloc(TEXT_MAX), *again = malloc(TEXT_MAX);
    struct scenario *back = calloc(1, sizeof(*back));
    uint32_t line;
    assert(text != NULL && again != NULL && back != NULL);
    assert(!scenario_wrong(s, why, sizeof(why)));
    assert(scenario_nodes(s) <= SCN_NODES_MAX && scenario_devices(s) > 0);
    size_t n = scenario_write(s, text, TEXT_MAX);
    assert(n < TEXT_MAX);
    bool ok = scenario_read(back, text, n, &line, why, sizeof(why));
    assert(ok);
    size_t m = scenario_write(back, again, TEXT_MAX);
    assert(n == m && memcmp(text, again, n) == 0);
    free(back);
    free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct scenario *s = calloc(1, sizeof(*s));
    char why[512] = "";
    uint32_t line = 0;
    assert(s != NULL);
    if (size > TEXT_MAX) {
        free(s);
        return 0;
    }
    if (scenario_read(s, (const char *)data, size, &line, why, sizeof(why)))
        taken(s);
    else
        refused(data, size, line, why);
    free(s);
    return 0;
}
