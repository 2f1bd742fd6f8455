/* config/internal.h - what the files of this room share. */
#pragma once

#include "config/config.h"

/* `s` without what Java's String.trim removes: everything up to U+0020 at both ends. */
struct str trim(struct str s);

/* Whether `wanted` is a part of a list joined by commas. */
bool list_has(struct str list, struct str wanted);

/* Read a value: write its form as Kafka shows it to the empty `canonical`, and its number. -EINVAL.
 */
MUST int setting_parse(const struct setting *s, struct str value, struct text *canonical,
                       union setting_number *number, struct fail *f);

/* Hold a value that setting_parse has read against the rules of its setting. -EINVAL. */
MUST int rules_check(const struct setting *s, struct str canonical, union setting_number number,
                     struct fail *f);

/* Put a value, already in the form of setting_parse and checked, at a level. */
void config_put(struct config *c, enum config_source source, uint32_t id, struct str canonical,
                union setting_number number);

/* Start a message about a value, in the words that Kafka's ConfigException begins with: scripts look
 * for them. "Invalid value VALUE for configuration NAME: FORMAT". Long values are cut, passwords
 * hidden. */
int fail_value(struct fail *f, const struct setting *s, struct str value, const char *format, ...)
    PRINTF(4, 5);

#define HOST_BYTES_MAX 255 /* of a name in DNS; struct listener has room for it and an end */

/* Whether all letters may stand in a host's name or address. */
bool is_host(struct str s);

/* HOST:PORT; the host is without brackets, perhaps empty. -EINVAL. */
MUST int address_parse(struct str value, struct str *host, uint16_t *port);

/* Part of config_check_broker: settings of which one must not be above another. */
MUST int check_orders(const struct config *c, struct fail *f);
