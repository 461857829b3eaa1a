/* The verbs of fwswarm-vendor, one a file; main.c lists them. */
#pragma once

#include "args.h"

extern const struct verb verb_fleet_create, verb_fleet_show;
extern const struct verb verb_key_create;
extern const struct verb verb_root_rotate, verb_root_sign, verb_root_merge;
extern const struct verb verb_device_enrol, verb_device_list, verb_device_revoke;
extern const struct verb verb_revocation_sign, verb_revocation_merge;
extern const struct verb verb_release_sign, verb_release_merge, verb_release_show,
    verb_release_verify;
extern const struct verb verb_release_withdraw, verb_release_publish;
