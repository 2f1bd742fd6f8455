/* Environment variables that name settings, as in Kafka's container image. */
#include "config/internal.h"

/* Variables of Kafka's scripts that are no settings. */
static const char *const scripts_own[] = {
    "KAFKA_CLUSTERS_CLASSPATH",
    "KAFKA_DEBUG",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_HEAP_OPT",
    "KAFKA_HEAP_OPTS",
    "KAFKA_HOME",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_LOG4J_CMD_OPTS",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_MODE",
    "KAFKA_OPTS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_VERSION",
};

bool config_env_name(struct str variable, struct text *name)
{
    struct str prefix = STR("KAFKA_");

    if (!str_starts(variable, prefix) || variable.n == prefix.n)
        return false;
    for (size_t i = 0; i < array_count(scripts_own); i++) {
        if (str_equal(variable, str_of(scripts_own[i])))
            return false;
    }
    /* A run of underscores is read from its front: three are a dash, two one underscore, one a
     * dot. */
    for (int32_t i = prefix.n; i < variable.n;) {
        int32_t run = 0;
        while (run < 3 && i + run < variable.n && variable.p[i + run] == '_')
            run++;
        if (run > 0) {
            text_add(name, run == 3 ? "-" : run == 2 ? "_" : ".", 1);
            i += run;
            continue;
        }
        char c = variable.p[i++];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        text_add(name, &c, 1);
    }
    return true;
}
