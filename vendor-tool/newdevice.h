/* A device's own directory: its key, certificate, root chain, model and serial.
 *
 * Made by `device enrol` and by `fleet create --verify-nodes`; read by the daemons.  The key is not
 * encrypted, for a device starts without a person; it is mode 0600. */
#pragma once

#include "keyring.h"

struct new_device {
    uint8_t seed[32];
    struct key pub;
    uint32_t index;
    enum role role;
    const char *model, *serial, *out; /* lent; serial and model may be empty */
};

/* Draws its key. */
int new_device_make(struct new_device *d);
/* Refuses, before anything is given away, when the directory holds a device. */
int new_device_check(const char *out, bool force);
/* Writes the directory; the key comes last, so that a directory with a key is complete. */
int new_device_write(const struct new_device *d, struct bytes chain, struct bytes cert, bool force);
void new_device_wipe(struct new_device *d);

/* Says so when the number of verify nodes wastes some of them: m = 3f + 1 is what tolerates f. */
void warn_verify_count(uint32_t count);
