/* cli/json.h - read JSON that a user wrote. */
#pragma once

#include "base/base.h"

/* A place in the text; the first mistake ends all reading. */
struct json {
    struct str text;
    int32_t at;
    uint32_t depth;
    bool wrong;
};

void json_begin(struct json *j, struct str text);
/* Inside an object or array, behind '{' or '[' or a value: is there one more element? The end is taken. */
bool json_enter(struct json *j, char open);
bool json_next(struct json *j, char close, bool *first);
/* The name of a member, with its colon. Text has its escapes still: none of our names needs them. */
struct str json_name(struct json *j);
struct str json_string(struct json *j); /* likewise with its escapes */
/* What a string without its quotes says, in `a` where it has escapes. -EINVAL: one that is none, or half a pair. */
MUST int json_text(struct arena *a, struct str raw, struct str *out);
/* The next thing is this word ("null"): then it is taken. */
bool json_word(struct json *j, const char *word);
char json_look(struct json *j); /* the next letter that is no blank; 0 = the end, or a mistake */
int64_t json_number(struct json *j);
void json_skip(struct json *j); /* one value, whatever it is */
/* Nothing but blanks is left, and all was right. */
bool json_end(struct json *j);
