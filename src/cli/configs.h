/* cli/configs.h - kafka-configs.sh and `millrace config`: what its files share. */
#pragma once

#include "cli/tool.h"

enum configs_option {
    CONFIGS_ADD,
    CONFIGS_ADD_FILE,
    CONFIGS_ALL,
    CONFIGS_ALTER,
    CONFIGS_CONTROLLER,
    CONFIGS_SERVER,
    CONFIGS_BROKER,
    CONFIGS_BROKER_DEFAULTS,
    CONFIGS_BROKER_LOGGER,
    CONFIGS_CLIENT,
    CONFIGS_CLIENT_DEFAULTS,
    CONFIGS_CLIENT_METRICS,
    CONFIGS_COMMAND_CONFIG,
    CONFIGS_DELETE,
    CONFIGS_DESCRIBE,
    CONFIGS_ENTITY_DEFAULT,
    CONFIGS_ENTITY_NAME,
    CONFIGS_ENTITY_TYPE,
    CONFIGS_GROUP,
    CONFIGS_IP,
    CONFIGS_IP_DEFAULTS,
    CONFIGS_JSON,
    CONFIGS_TOPIC,
    CONFIGS_USER,
    CONFIGS_USER_DEFAULTS,
    CONFIGS_OPTIONS,
};

/* The protocol's numbers of resources; 0 = one that quotas are for. */
enum resource {
    RESOURCE_QUOTA = 0,
    RESOURCE_TOPIC = 2,
    RESOURCE_BROKER = 4,
    RESOURCE_LOGGER = 8,
    RESOURCE_METRICS = 16,
    RESOURCE_GROUP = 32
};

/* A kind of thing that has settings. */
struct entity_type {
    const char *plural, *singular;
    enum resource resource;
    enum config_source own;          /* where its own values come from in DescribeConfigs */
    int name_option, default_option; /* --topic NAME, --broker-defaults; -1 = none */
    const char *quota_entity;        /* "client-id" */
};

/* One that was named: name null = all of the type; empty = the default. */
struct entity {
    const struct entity_type *type;
    struct str name;
};

/* One change. */
struct change {
    struct str name, value; /* value null = remove */
};

/* What is asked about users, clients and addresses. */
struct quotas {
    struct describe_client_quotas_request ask;
    struct describe_client_quotas_request_components components[2];
    struct alter_client_quotas_request alter;
    struct alter_client_quotas_request_entries entry;
    struct alter_client_quotas_request_entries_entity entities[2];
    struct describe_user_scram_credentials_request ask_users;
    struct describe_user_scram_credentials_request_users user;
    struct alter_user_scram_credentials_request alter_users;
};

struct configs {
    struct tool tool;
    int action;
    struct entity named[2]; /* two only of a user and a client */
    uint32_t named_count;

    struct entity *entities; /* those that are described */
    uint32_t entity_count, at;
    struct change *changes;
    uint32_t change_count, change_capacity;
    struct text file;
    char *file_path;

    struct admin_call names, more_names;
    struct metadata_request ask_topics;
    struct list_groups_request ask_groups;
    struct list_config_resources_request ask_resources;
    int8_t ask_type;
    struct describe_configs_request ask;
    struct describe_configs_request_resources ask_one;
    struct incremental_alter_configs_request alter;
    struct incremental_alter_configs_request_resources alter_one;
    struct quotas quotas;
    struct table table;
};

/* configs_words.c: what the words say. */
MUST int configs_entities(struct configs *x);
MUST int configs_changes(struct configs *x); /* with x->file, where one is named */
extern const struct entity_type entity_types[];

/* configs_describe.c */
void configs_describe_run(struct flow *f);
bool configs_in_table(const struct configs *x);
void configs_table_begin(struct configs *x);
void configs_table_print(struct configs *x);

/* configs.c */
void configs_alter_run(struct flow *f);
void configs_say_altered(struct configs *x);

/* configs_quotas.c: of users, clients and addresses. */
void configs_quotas_describe_run(struct flow *f);
void configs_quotas_alter_run(struct flow *f);
