/* admin_calls.h - the parts of admin_calls.c. */
#pragma once

#include <millrace/admin.h>

/* "ok", Kafka's name of an error, or what is wrong. */
const char *word(const struct mr_error *e);
/* Wait for an answer, and say what trouble there was. */
struct mr_answer *end(const char *what, struct mr_answer *r);
/* A line for each row, freed. */
void outcomes(const char *what, struct mr_answer *r);
/* It is not as `wanted` yet: true after a pause, as long as it is worth it. */
bool again(uint32_t count, uint32_t wanted, int attempt);

/* operator_calls.c */
void users(struct mr_admin *a);
void cluster(struct mr_admin *a, const char *topic);
void members(struct mr_admin *a);
void share(struct mr_admin *a, const char *topic);
void transactions(struct mr_admin *a, const char *topic);
