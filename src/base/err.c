/* Texts of the errors.  The preprocessor cannot lower a letter's case, so the short names are a
 * second list; a test holds it against the table. */
#include "fwswarm/err.h"

#include <assert.h>

const char *err_text(enum err e)
{
    static const char *const text[E_COUNT] = {
#define X(name, text) [name] = text,
        ERR_TABLE(X)
#undef X
    };
    assert((unsigned)e < E_COUNT);
    return text[e];
}

const char *err_name(enum err e)
{
    static const char *const name[E_COUNT] = {
        [E_OK] = "ok",
        [E_TRUNCATED] = "truncated",
        [E_OVERSIZED] = "oversized",
        [E_TRAILING] = "trailing",
        [E_NONCANONICAL] = "noncanonical",
        [E_FORMAT] = "format",
        [E_UNKNOWN] = "unknown",
        [E_VERSION] = "version",
        [E_SIGNATURE] = "signature",
        [E_THRESHOLD] = "threshold",
        [E_UNLISTED] = "unlisted",
        [E_FLEET] = "fleet",
        [E_MODEL] = "model",
        [E_ROLE] = "role",
        [E_REVOKED] = "revoked",
        [E_STALE] = "stale",
        [E_WITHDRAWN] = "withdrawn",
        [E_REJECTED] = "rejected",
        [E_HASH] = "hash",
        [E_PROOF] = "proof",
        [E_AUTH] = "auth",
        [E_STATE] = "state",
        [E_RANGE] = "range",
        [E_FLOOD] = "flood",
        [E_BANNED] = "banned",
        [E_SELF] = "self",
        [E_DUPLICATE] = "duplicate",
        [E_LIMIT] = "limit",
        [E_TIMEOUT] = "timeout",
        [E_CLOSED] = "closed",
        [E_REFUSED] = "refused",
        [E_NOENT] = "noent",
        [E_EXISTS] = "exists",
        [E_PERM] = "perm",
        [E_EXPOSED] = "exposed",
        [E_FULL] = "full",
        [E_READONLY] = "readonly",
        [E_IO] = "io",
        [E_BUSY] = "busy",
        [E_NEWER] = "newer",
        [E_FOREIGN] = "foreign",
        [E_PASSWORD] = "password",
        [E_USAGE] = "usage",
        [E_MEMORY] = "memory",
    };
    assert((unsigned)e < E_COUNT);
    return name[e];
}
