/* main/server.h - `millrace server`: settings, a world, a broker, signals (internal). */
#pragma once

/* argv[0] is "server". Returns the exit code: 0 stopped cleanly, 1 trouble, 2 the words are wrong. */
int server_main(int argc, char **argv);

/* `millrace settings [WORD]`. */
int settings_main(int argc, char **argv);
