/* main/stop.h - kafka-server-stop.sh (internal). */
#pragma once

/* Ask servers of this machine to end, by SIGTERM: all, or those of --process-role=ROLE or --node-id=ID. Returns the
 * exit code: 0 when there was one. */
int stop_main(int argc, char **argv);
