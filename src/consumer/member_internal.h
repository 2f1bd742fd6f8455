/* consumer/member_internal.h - member.c and member_answer.c. */
#pragma once

#include "consumer/member.h"

void member_move(struct member *m, enum member_state state);
/* The generation is not ours any more, and perhaps not the member id either: what was owned is lost. */
void member_forget(struct member *m, bool id_too);
void member_fail(struct member *m, int16_t code);
/* Join again at once, or go on with leaving. */
void member_restart(struct member *m, int64_t now_ns);
/* Join after a back-off. */
void member_retry(struct member *m, int64_t now_ns);
