/* main/load.h - the settings of a server from file, environment and command line (internal). */
#pragma once

#include "config/config.h"
#include "telemetry/telemetry.h"

struct load {
    const char *file;            /* NULL: the local default */
    const char *const *overrides; /* KEY=VALUE */
    int override_count;
    char **environment;
    struct telemetry *telemetry; /* warnings */
};

/* Later ones win: file, KAFKA_* variables, overrides. Checked as a whole. */
int load_settings(const struct load *l, struct config **out, struct fail *f);

/* For config_expand: ${env:X}, ${file:PATH} and ${file:PATH:KEY}; -ENOTSUP for any other source. */
int settings_look(void *ctx, struct str source, struct str name, struct text *out);
