/* What tests of images share: records made from structs, images made from records. */
#pragma once

#include "check.h"
#include "image/image.h"

/* The framed record, in memory that the test program keeps to its end. */
struct bytes framed(const struct message *message, int16_t version, const void *record);

/* Apply to `*i` as one edit and replace it; the offset goes up by one. The test ends on a failure.
 */
void world_apply(struct image **i, const struct message *message, int16_t version,
                 const void *record);
/* The same must fail; the words are in `f`. `*i` stays. */
void world_refuse(const struct image *i, const struct message *message, int16_t version,
                  const void *record, struct fail *f);

/* Records that most tests begin with. */
void world_feature(struct image **i, const char *name, int16_t level);
void world_topic(struct image **i, const char *name, uint8_t id);
void world_partition(struct image **i, uint8_t topic, int32_t partition);
void world_config(struct image **i, int8_t type, const char *resource, const char *name,
                  const char *value);
struct uuid world_id(uint8_t n);

/* image_print, in memory that the test program keeps. Offset, epoch and time are left out when
 * `bare`. */
struct str world_print(const struct image *i, bool bare);

/* What image_write gives, applied to an empty image. */
struct image *world_rewrite(const struct image *i);

/* Free what the functions above kept. */
void world_end(void);
