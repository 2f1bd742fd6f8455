/* main/tool.h - tools of room cli in a world of one shard (internal). */
#pragma once

/* `millrace storage ...`; argv[0] is the tool's name. Returns the exit code. */
int storage_main(int argc, char **argv);
/* `millrace log ...`, and kafka-dump-log.sh. */
int log_main(int argc, char **argv);
int log_dump_main(int argc, char **argv);

/* A tool that asks a cluster, by its name in room cli; `name` outlives the call. */
int cluster_tool_main(int argc, char **argv, const char *name);
int completion_main(void);
