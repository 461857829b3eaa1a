/* Public files are written first and the key last: a run that breaks off leaves a directory that
 * the daemons refuse and that a second run may fill. */
#include "newdevice.h"

#include "fleetdir.h"

#include "fwswarm/keyfile.h"

#include <stdio.h>
#include <string.h>

int new_device_make(struct new_device *d)
{
    struct signer signer;

    int status = random_seed(d->seed);
    if (status != STATUS_OK)
        return status;
    signer_from_seed(&signer, d->seed);
    d->pub = signer.pub;
    signer_wipe(&signer);
    return STATUS_OK;
}

int new_device_check(const char *out, bool force)
{
    struct path path;

    int status = path_join(&path, out, "node.key", NULL);
    if (status != STATUS_OK)
        return status;
    if (!force && path_exists(path.s))
        return fail_err(E_EXISTS, path.s,
                        "a device's key is not replaced: choose another --out, or say --force");
    return STATUS_OK;
}

static int put_line(const char *dir, const char *name, const char *text)
{
    char line[512];
    struct path path;

    int status = path_join(&path, dir, name, NULL);
    if (status != STATUS_OK)
        return status;
    int n = snprintf(line, sizeof line, "%s%s", text, text[0] == '\0' ? "" : "\n");
    if (n < 0 || (size_t)n >= sizeof line)
        return fail(STATUS_USAGE, "%s: longer than %u bytes: shorten it", text,
                    (unsigned)sizeof line);
    return file_put(path.s, bytes_of(line, (size_t)n), 0644, true);
}

static int put_bytes(const char *dir, const char *name, struct bytes data)
{
    struct path path;

    int status = path_join(&path, dir, name, NULL);
    return status != STATUS_OK ? status : file_put(path.s, data, 0644, true);
}

int new_device_write(const struct new_device *d, struct bytes chain, struct bytes cert, bool force)
{
    struct path path;

    int status = dir_make(d->out, 0700);
    if (status == STATUS_OK)
        status = put_bytes(d->out, "root.pub", chain);
    if (status == STATUS_OK)
        status = put_bytes(d->out, "node.cert", cert);
    if (status == STATUS_OK)
        status = put_line(d->out, "model", d->model);
    if (status == STATUS_OK)
        status = put_line(d->out, "serial", d->serial);
    if (status == STATUS_OK)
        status = path_join(&path, d->out, "node.key", NULL);
    if (status != STATUS_OK)
        return status;
    enum err e = keyfile_write(path.s, d->seed, "node", bytes_of(NULL, 0), force);
    if (e == E_OK)
        return STATUS_OK;
    if (e == E_EXISTS)
        return fail_err(e, path.s, "a device's key is not replaced: choose another --out");
    return fail_err(e, path.s,
                    "the device has no key: see that the directory is writable and has "
                    "space, and enrol again");
}

void new_device_wipe(struct new_device *d)
{
    crypto_wipe(d->seed, sizeof d->seed);
}

void warn_verify_count(uint32_t count)
{
    if (count == 0 || count % 3 == 1)
        return;
    warn("%u verify nodes tolerate no more faults than %u: have 1, 4, 7, 10 ... (m = 3f + 1)",
         count, count - (count - 1) % 3);
}
