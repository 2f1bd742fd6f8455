/* broker/why.h - why a partition is as it is (internal). See also broker_why. */
#pragma once

#include "broker/request.h"

/* A DescribeConfigs that is answered but for what is asked of partitions: answer that, too, and send it. */
void why_answer(struct request *r);
