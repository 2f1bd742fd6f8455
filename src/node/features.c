/* What this program supports of each feature: all levels that the protocol's facts call usable. */
#include "node/node.h"

uint32_t node_feature_count(void)
{
    return FEATURE_COUNT;
}

struct image_feature node_feature_at(uint32_t index)
{
    ASSERT(index < FEATURE_COUNT);
    return (struct image_feature){
        .name = str_of(features[index].name),
        .min = features[index].low,
        .max = features[index].latest,
    };
}
