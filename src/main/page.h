/* main/page.h - the metrics page: HTTP on a thread of its own (internal).
 *
 *   GET /metrics ───────── HTTP thread ─ message ─► home shard ─ broker_metrics ─► text ─► HTTP thread
 *   GET /why/TOPIC-NUMBER                                      ─ broker_why
 */
#pragma once

#include "broker/broker.h"
#include "io_epoll/io_epoll.h"

struct page;

/* Serve on millrace.metrics.listener, HOST:PORT (port 0: any; the log says which). -EINVAL, -ENOENT when
 * this machine has no library for it, or -EADDRINUSE when it cannot listen. */
int page_start(struct io_epoll_world *world, struct broker *broker, struct telemetry *t,
               struct str listener, struct page **out, struct fail *f);
/* Ask the broker nothing more. Home shard. Completes when no question is under way: then the broker may stop. */
void page_stop(struct page *p, struct io *io, struct op *op);
/* Close the socket and end the thread, when the loops have ended. Accepts NULL. */
void page_free(struct page *p);
