/* main/background.h - `kafka-server-start.sh -daemon`. */
#pragma once

/* The process that was started ends, well; this goes on as another one, in a session of its own and without a
 * terminal. What it says goes to the end of $LOG_DIR/kafkaServer.out, ./logs/kafkaServer.out without LOG_DIR; the directory is made
 * where it is missing. Call it before there are threads. 0, or -1: it could not, which was said. */
int background_begin(void);
