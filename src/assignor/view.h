/* view.h - a group in numbers, which all assignors work on: private to this room.
 *
 *   members     0 .. member_count - 1, in the order in which a Java leader's HashMap walks over
 * them: where the sticky assignors have a choice, the first in that order wins there topics that
 * have partitions and are wanted by somebody, in order of their names partitions  0 ..
 * partition_count - 1, topic after topic
 */
#pragma once

#include "assignor/assignor.h"

#define NOBODY (-1)

struct view_member {
    const struct assignor_member *given;
    int32_t input; /* its place in group->members */
    int32_t rank;  /* among all members, by member id */
    int32_t rack;  /* -1 = not known */
    int32_t size;  /* partitions that it owns */
};

struct view_topic {
    struct str name;
    const struct assignor_racks *racks; /* NULL = not known */
    int32_t *members;                   /* that want it, ascending */
    int32_t member_count;               /* > 0 */
    int32_t first;                      /* partition */
    int32_t count;                      /* of its partitions, > 0 */
};

struct view {
    struct arena *arena;
    struct view_member *members;
    struct view_topic *topics;
    int32_t *by_rank;    /* rank -> member */
    int32_t *topic_of;   /* partition -> topic */
    int32_t *owner;      /* partition -> member, NOBODY: what an assignor decides */
    int32_t *rack_start; /* partition -> its racks in rack_ids, up to those of the next one;
                            NULL when no member has a rack */
    int32_t *rack_ids;   /* a rack once a partition */
    uint8_t *rack_seen;  /* of view_racks_matter */
    int32_t member_count;
    int32_t topic_count;
    int32_t partition_count;
    int32_t rack_count;
};

/* Fails  ERR_LIMIT */
MUST int view_init(struct view *v, const struct assignor_group *group, struct arena *arena);

/* The topic of that name, NOBODY when there is none. `guess` is looked at first. */
int32_t view_find_topic(const struct view *v, struct str name, int32_t guess);

bool view_wants(const struct view_topic *topic, int32_t member);

/* Give `partition` to `member`, whoever had it. */
void view_give(struct view *v, int32_t partition, int32_t member);

/* ---- racks.c ---- */

/* Number the racks of members and of partitions. */
MUST int view_number_racks(struct view *v);

/* A replica of `partition` is in the member's rack. */
bool view_rack_matches(const struct view *v, int32_t member, int32_t partition);

/* The member has a rack, and no replica of `partition` is in it. */
bool view_rack_differs(const struct view *v, int32_t member, int32_t partition);

/* Whether racks are looked at (KIP-881): a member of `members` is in a rack of a replica of the
 * `count` partitions from `first` on, and not all of these have replicas in the same racks. */
bool view_racks_matter(struct view *v, const int32_t *members, int32_t member_count, int32_t first,
                       int32_t count);

/* ---- java_order.c ---- */

/* As String.compareTo: by UTF-16 code units. */
int java_compare(struct str a, struct str b);

/* Where a HashMap that has held up to `count` entries keeps one of this hashCode: it walks over its
 * entries from slot to slot, within a slot as they came. */
uint32_t java_slot(int32_t hash, int32_t count);

/* ---- the assignors: they set owner. Fail ERR_LIMIT. ---- */

MUST int range_assign(struct view *v);
MUST int roundrobin_assign(struct view *v);
MUST int sticky_assign(struct view *v, bool cooperative);

/* Members by group instance id, then those without one by member id. From the arena; NULL beyond
 * its limit. */
int32_t *static_order(const struct view *v);
