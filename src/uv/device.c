/* The device directory: node.key, root.pub, node.cert, model.
 *
 * The four are judged against each other before anything is opened, so that a directory put
 * together wrongly is named here and not by a link that the whole fleet refuses. */
#include "loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOT_FILE_MAX (64u * ROOT_BYTES_MAX)
#define PATH_CAP      4096u

static bool join_path(char out[static PATH_CAP], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_CAP, "%s/%s", dir, name);
    return n > 0 && (size_t)n < PATH_CAP;
}

static enum err read_key(struct device *d, const char *dir, struct log *log)
{
    char path[PATH_CAP], shown[SHOWN_MAX];
    bool encrypted = false;
    if (!join_path(path, dir, "node.key"))
        return E_OVERSIZED;
    enum err e = keyfile_read(path, &d->identity, bytes_of(NULL, 0), &encrypted);
    if (e == E_OK)
        return E_OK;
    const char *mend = "is this a directory that `fwswarm-vendor device enrol` made?";
    if (e == E_EXPOSED)
        mend = "chmod 600 it, and enrol the device anew if others may have read it";
    else if (e == E_PASSWORD || encrypted)
        mend = "device keys carry no password: enrol the device anew";
    else if (e == E_PERM)
        mend = "run as the user that owns it";
    log_error(log, "device.key", "path=%s err=%s mend=\"%s\"", show(shown, path), err_name(e),
              mend);
    return e;
}

static enum err read_file(const char *dir, const char *name, size_t cap, uint8_t **out, size_t *n,
                          struct log *log)
{
    char path[PATH_CAP], shown[SHOWN_MAX];
    if (!join_path(path, dir, name))
        return E_OVERSIZED;
    enum err e = file_read(path, cap, out, n);
    if (e != E_OK)
        log_error(log, "device.file",
                  "path=%s err=%s mend=\"is this a directory that `fwswarm-vendor device enrol` "
                  "made?\"",
                  show(shown, path), err_name(e));
    return e;
}

static enum err read_model(struct device *d, const char *dir, struct log *log)
{
    uint8_t *text;
    size_t n;
    char shown[SHOWN_MAX];
    enum err e = read_file(dir, "model", MODEL_MAX + 2, &text, &n, log);
    if (e != E_OK)
        return e;
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    if (n <= MODEL_MAX)
        memcpy(d->model, text, n);
    free(text);
    if (n > MODEL_MAX || !release_name_valid(d->model, MODEL_MAX)) {
        log_error(log, "device.model",
                  "dir=%s file=model err=format mend=\"one line with the model's "
                  "name\"",
                  show(shown, dir));
        return E_FORMAT;
    }
    return E_OK;
}

/* The fleet, and who this key is in it. */
static enum err judge(struct device *d, const char *where, struct log *log)
{
    struct trust *t = must_alloc(sizeof(*t));
    struct digest id;
    char shown[SHOWN_MAX];
    memset(t, 0, sizeof(*t));
    enum err e = trust_chain(t, d->root_chain);
    if (e != E_OK) {
        log_error(log, "device.root",
                  "dir=%s file=root.pub err=%s mend=\"copy the fleet's root.pub\"",
                  show(shown, where), err_name(e));
        goto out;
    }
    d->fleet = t->root.fleet;
    e = cert_judge(&d->who, d->cert, &d->identity.pub, t);
    if (e != E_OK) {
        char hex[9];
        hex_encode(hex, d->identity.pub.b, 4);
        log_error(log, "device.cert", "dir=%s file=node.cert node=%s err=%s mend=\"%s\"",
                  show(shown, where), hex, err_name(e),
                  d->cert.n == 0 ? "the root does not list this key: is root.pub the newest?"
                                 : "enrol the device into this fleet");
        goto out;
    }
    if (d->model[0] == '\0')
        goto out;
    model_id(&id, &d->fleet, d->model);
    if (!digest_equal(&id, &d->who.model)) {
        log_error(log, "device.model",
                  "dir=%s file=model model=%s err=model mend=\"the certificate is "
                  "for another model: enrol the device as %s, or mend the file\"",
                  show(shown, where), d->model, d->model);
        e = E_MODEL;
    }
out:
    free(t);
    return e;
}

enum err device_open(struct device *d, const char *dir, struct log *log)
{
    char path[PATH_CAP], shown[SHOWN_MAX];
    size_t n;
    memset(d, 0, sizeof(*d));
    enum err e = read_key(d, dir, log);
    if (e != E_OK)
        return e;
    e = read_file(dir, "root.pub", ROOT_FILE_MAX, &d->memory[0], &n, log);
    if (e == E_OK) {
        d->root_chain = bytes_of(d->memory[0], n);
        if (!join_path(path, dir, "node.cert"))
            e = E_OVERSIZED;
    }
    if (e == E_OK) {
        /* Verify nodes have no certificate: the root lists them. */
        e = file_read(path, CERT_BYTES_MAX, &d->memory[1], &n);
        if (e == E_OK) {
            d->cert = bytes_of(d->memory[1], n);
            if (n > 0)
                e = read_model(d, dir, log);
        } else if (e == E_NOENT) {
            e = E_OK;
        } else {
            log_error(log, "device.cert", "path=%s err=%s mend=\"let this user read it\"",
                      show(shown, path), err_name(e));
        }
    }
    if (e == E_OK)
        e = judge(d, dir, log);
    if (e != E_OK)
        device_close(d);
    return e;
}

enum err device_make(struct device *d, const struct signer *identity, struct bytes root_chain,
                     struct log *log)
{
    memset(d, 0, sizeof(*d));
    d->identity = *identity;
    d->memory[0] = must_alloc(root_chain.n + 1);
    memcpy(d->memory[0], root_chain.p, root_chain.n);
    d->root_chain = bytes_of(d->memory[0], root_chain.n);
    enum err e = judge(d, ".", log);
    if (e != E_OK)
        device_close(d);
    return e;
}

void device_close(struct device *d)
{
    free(d->memory[0]);
    free(d->memory[1]);
    signer_wipe(&d->identity);
    memset(d, 0, sizeof(*d));
}
