/* Errors: one table, 0 is success.
 *
 * Three kinds are never mixed.  Our own bug is an assert, on in every build.  A peer's fault
 * (E_TRUNCATED .. E_LIMIT) closes the link and is scored.  The world's fault (E_FULL, E_IO, ...)
 * travels in an event; the caller degrades, retries and says so.  errno, UV_* and MDB_* codes are
 * translated where they occur, logged there with their detail, and never travel further. */
#pragma once

#define ERR_TABLE(X)                                                                               \
    X(E_OK, "ok")                                                                                  \
    X(E_TRUNCATED, "ends too early")                                                               \
    X(E_OVERSIZED, "longer than its cap")                                                          \
    X(E_TRAILING, "bytes after its end")                                                           \
    X(E_NONCANONICAL, "not in its one canonical encoding")                                         \
    X(E_FORMAT, "malformed")                                                                       \
    X(E_UNKNOWN, "of an unknown kind")                                                             \
    X(E_VERSION, "of a version that is not spoken here")                                           \
    X(E_SIGNATURE, "signature does not verify")                                                    \
    X(E_THRESHOLD, "too few valid signatures")                                                     \
    X(E_UNLISTED, "signer is not listed in the root")                                              \
    X(E_FLEET, "belongs to another fleet")                                                         \
    X(E_MODEL, "is for another model")                                                             \
    X(E_ROLE, "role does not allow it")                                                            \
    X(E_REVOKED, "certificate is revoked")                                                         \
    X(E_STALE, "older than what is held")                                                          \
    X(E_WITHDRAWN, "withdrawn by the vendor")                                                      \
    X(E_REJECTED, "rejected on this device")                                                       \
    X(E_HASH, "hash differs")                                                                      \
    X(E_PROOF, "hash proof does not reach the signed root")                                        \
    X(E_AUTH, "authentication failed")                                                             \
    X(E_STATE, "message out of order")                                                             \
    X(E_RANGE, "value out of range")                                                               \
    X(E_FLOOD, "more than its quota")                                                              \
    X(E_BANNED, "identity is banned")                                                              \
    X(E_SELF, "is this node itself")                                                               \
    X(E_DUPLICATE, "is there already")                                                             \
    X(E_LIMIT, "beyond this node's limits")                                                        \
    X(E_TIMEOUT, "took too long")                                                                  \
    X(E_CLOSED, "closed by the other side")                                                        \
    X(E_REFUSED, "refused")                                                                        \
    X(E_NOENT, "does not exist")                                                                   \
    X(E_EXISTS, "exists already")                                                                  \
    X(E_PERM, "permission denied")                                                                 \
    X(E_EXPOSED, "readable by others")                                                             \
    X(E_FULL, "no space left")                                                                     \
    X(E_READONLY, "read-only")                                                                     \
    X(E_IO, "input/output error")                                                                  \
    X(E_BUSY, "in use")                                                                            \
    X(E_NEWER, "written by a newer version of this program")                                       \
    X(E_FOREIGN, "belongs to another fleet or device")                                             \
    X(E_PASSWORD, "wrong password")                                                                \
    X(E_USAGE, "not understood")                                                                   \
    X(E_MEMORY, "out of memory")

enum err {
#define X(name, text) name,
    ERR_TABLE(X)
#undef X
        E_COUNT
};

/* Every function that returns an enum err must have it looked at. */
#define MUST __attribute__((warn_unused_result))

/* The sentence fragment of an error ("hash differs").  Never NULL. */
const char *err_text(enum err e);

/* The name of an error in lower case without its prefix ("hash"), as logs and JSON print it. */
const char *err_name(enum err e);
