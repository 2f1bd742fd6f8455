/* `millrace settings [WORD]`: the settings that act, from the table that the server uses. */
#include <stdio.h>

#include "config/config.h"
#include "main/server.h"

int settings_main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    uint32_t shown = 0;

    for (uint32_t id = 0; id < broker_settings.count; id++) {
        const struct setting *s = &broker_settings.settings[id];
        if (!s->acts || strstr(s->name, word) == NULL)
            continue;
        printf("%s\n    %s\n    default: %s\n", s->name, s->help == NULL ? "" : s->help,
               s->required ? "none, it must be set" : s->default_text == NULL ? "null"
               : s->default_text[0] == 0 ? "empty" : s->default_text);
        shown++;
    }
    if (shown == 0)
        printf("no setting that acts has \"%s\" in its name\n", word);
    return 0;
}
