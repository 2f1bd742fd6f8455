/* log/dir.h - what the files of a log directory's life share: dir.c, dir_open.c. */
#pragma once

#include "log/log.h"

#define MARKER_NAME ".kafka_cleanshutdown"

enum { RECOVERY_POINT, LOG_START, HIGH_WATERMARK, CLEANER, CHECKPOINTS };
extern const char *const checkpoint_names[CHECKPOINTS];
struct checkpoint *checkpoint_of(struct log_dir *dir, int which);

/* Its lock is given back. */
void log_dir_free(struct log_dir *dir);
