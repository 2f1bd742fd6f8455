/* claims.h - what members say that they had before: private to this room. */
#pragma once

#include "assignor/view.h"

/* A member's claims, as it sent them: foreign. */
struct claim_list {
    const struct consumer_protocol_subscription_owned_partitions *entries;
    int32_t count;
    int32_t generation; /* -1 = not known */
};

struct claims {
    struct claim_list *lists; /* of each member */
    int32_t *holder;          /* partition -> the member whose claim counts, NOBODY */
    uint8_t *disputed;        /* members of the generation that counts claim the partition */
    int32_t generation;       /* the highest */
};

/* Read all claims, and decide those on partitions that there are: the highest generation wins; of
 * two members of one generation nobody does.
 *
 *   cooperative  they stand in the subscription; else in the user data of the sticky assignor
 *
 * Fails  ERR_LIMIT */
MUST int claims_read(struct claims *c, const struct view *v, bool cooperative);

/* Walk over the partitions that there are of a member's claims. */
struct claim_walk {
    const struct view *v;
    const struct claim_list *list;
    int32_t entry, at; /* in the list, in the entry */
    int32_t topic;     /* of the entry; NOBODY = not found */
    bool found;        /* the entry's topic was looked for */
};

struct claim_walk claim_walk(const struct claims *c, const struct view *v, int32_t member);

/* The next partition, NOBODY at the end. */
int32_t claim_next(struct claim_walk *w);

/* ---- uniform.c, general.c: they set owner from claims. Fail ERR_LIMIT. ---- */

/* All members want all topics. */
MUST int uniform_assign(struct view *v, const struct claims *c);

MUST int general_assign(struct view *v, const struct claims *c);

/* ---- user_data.c ---- */

/* Read a sticky assignor's user data; what cannot be read is an empty list. Fails ERR_LIMIT. */
MUST int sticky_user_data_read(struct bytes in, struct arena *arena, struct claim_list *out);

/* The generation in a cooperative-sticky assignor's user data; -1 when there is none. */
int32_t cooperative_user_data_generation(struct bytes in);
