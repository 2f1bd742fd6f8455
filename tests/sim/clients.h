/* clients.h - the clients that the story plays with. Each is made, begins, is told to stop
 * (client.stop), and may be freed when client.stopped. */
#pragma once

#include "truth.h"

/* producer.c: writes records to every topic, idempotent (asks again until it is told) or plain (never
 * asks twice). */
struct producer *producer_create(struct world *w, uint32_t number);
void producer_begin(struct producer *p);
void producer_free(struct producer *p);
struct client *producer_client(struct producer *p);
void producer_last_words(struct producer *p); /* one more batch to each partition, then quiet */
bool producer_has_said_all(const struct producer *p);

/* writer.c: has our own producer (room producer) write records to every topic. */
struct writer *writer_new(struct world *w, uint32_t number); /* a number that no producer has */
void writer_begin(struct writer *w);
void writer_free(struct writer *w);
struct client *writer_client(struct writer *w);
void writer_last_words(struct writer *w);
bool writer_has_said_all(const struct writer *w);

/* reader.c: reads partitions from start to end, and begins anew. */
struct reader *reader_new(struct world *w, uint32_t number);
void reader_begin(struct reader *r);
void reader_free(struct reader *r);
struct client *reader_client(struct reader *r);

/* member.c: a member of the one group, which owns the lasting topics. */
struct member *member_new(struct world *w, uint32_t number);
void member_begin(struct member *m);
void member_free(struct member *m);
struct client *member_client(struct member *m);

/* subscriber.c: a member of that group by our own consumer (room consumer). */
struct subscriber *subscriber_new(struct world *w, uint32_t number);
void subscriber_begin(struct subscriber *s);
void subscriber_free(struct subscriber *s);
struct client *subscriber_client(struct subscriber *s);

/* admin.c: makes the topics, changes them, lets some go. */
struct admin *admin_new(struct world *w);
void admin_begin(struct admin *a);
void admin_free(struct admin *a);
struct client *admin_client(struct admin *a);

/* deleter.c: deletes records of the lasting topics. */
struct deleter *deleter_new(struct world *w);
void deleter_begin(struct deleter *d);
void deleter_free(struct deleter *d);
struct client *deleter_client(struct deleter *d);

/* mover.c: moves partitions between log directories; when all has healed once more, until each is where it was sent. */
struct mover *mover_new(struct world *w);
void mover_begin(struct mover *m);
void mover_free(struct mover *m);
struct client *mover_client(struct mover *m);
bool mover_is_through(const struct mover *m);

/* shuffler.c: reassigns partitions of a cluster, and has leaders elected. */
struct shuffler *shuffler_new(struct world *w);
void shuffler_begin(struct shuffler *s);
void shuffler_free(struct shuffler *s);
struct client *shuffler_client(struct shuffler *s);
bool shuffler_is_through(const struct shuffler *s); /* its last round, when all has healed */

/* throttler.c: throttles replication until nothing is done to the nodes any more. */
struct throttler *throttler_new(struct world *w);
void throttler_begin(struct throttler *t);
void throttler_free(struct throttler *t);
struct client *throttler_client(struct throttler *t);

/* straggler.c: Fetches of followers that come an epoch too late. */
struct straggler *straggler_new(struct world *w);
void straggler_begin(struct straggler *s);
void straggler_free(struct straggler *s);
struct client *straggler_client(struct straggler *s);

/* watcher.c: asks every broker of a cluster in turn who leads and who is in sync. */
struct watcher *watcher_new(struct world *w);
void watcher_begin(struct watcher *o);
void watcher_free(struct watcher *o);
struct client *watcher_client(struct watcher *o);
/* What is wrong, as a broker has told since all are ready; NULL = every broker has told that all have leaders, and that
 * all replicas are in sync. */
const char *watcher_lacks_leaders(const struct watcher *o);
const char *watcher_lacks_replicas(const struct watcher *o);

/* verifier.c: looks at everything once and holds it against the truth. */
struct verifier *verifier_new(struct world *w);
void verifier_begin(struct verifier *v);
void verifier_free(struct verifier *v);
struct client *verifier_client(struct verifier *v);
bool verifier_is_done(const struct verifier *v);
