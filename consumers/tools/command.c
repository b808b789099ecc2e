/* Finds a subcommand and runs it: options, connections, exit status, usage. */

#include <stdlib.h>
#include <string.h>

#include "tools/command.h"


static const command_t *command_among(const command_t *const *list,
    const char *name);
static int command_choose(command_line_t *line, const conf_t *conf,
    const char *topic);
static int command_one(command_line_t *line, const conf_t *conf,
    const char *topic);
static const conf_t *command_list_topics(const conf_t *conf);
static int command_each(command_line_t *line, const conf_t *conf);
static int command_do(const command_t *command, tool_t *tool,
    const conf_t *conf);


/* By name.  A command that is added here is found, and listed by --help. */

static const command_t *const  commands[] = {
    &command_dead_letters, &command_init, &command_lag, &command_offsets,
    &command_print_ddl, &command_replay, &command_setup, &command_skip,
    &command_verify, &command_where, NULL
};


const command_t *
command_find(const char *name)
{
    return command_among(commands, name);
}


static const command_t *
command_among(const command_t *const *list, const char *name)
{
    for ( /* void */ ; *list; list++) {
        if (strcmp((*list)->name, name) == 0) {
            break;
        }
    }

    return *list;
}


int
command_parse(command_line_t *line, const options_t *shared, int argc,
    char **argv)
{
    options_t  tables[2];

    tables[0].options = NULL;
    tables[1] = *shared;
    line->part = line->command;

    if (line->command->parts) {
        argc = options_read(tables, true, argc, argv);
        argv++;
        line->part = argc < 1 ? NULL : command_among(line->command->parts,
                                                     argv[0]);
        if (line->part == NULL) {
            return argc == -1 ? -1 : 0;
        }
    }

    line->tool = calloc(1, line->part->size);
    if (line->tool == NULL) {
        return report_error("out of memory");
    }

    tables[0].options = line->part->options;
    tables[0].structure = line->tool;
    line->tool->operands = argv + 1;
    line->tool->noperands = options_read(tables, false, argc, argv);

    return line->tool->noperands == -1 ? -1 : 0;
}


int
command_run(command_line_t *line, const conf_t *conf, const char *topic)
{
    int  status;

    status = line->part ? command_choose(line, conf, topic) : COMMAND_USAGE;

    if (status == COMMAND_USAGE) {
        command_usage(stderr, line->command);
    }

    return status == -1 ? COMMAND_FAILED : status;
}


/* Runs it for the topics that the configuration and --topic name. */

static int
command_choose(command_line_t *line, const conf_t *conf, const char *topic)
{
    int               status;
    const conf_t     *listed;
    const command_t  *part = line->part;

    if (topic || conf == NULL || !conf->several) {
        return command_one(line, conf, topic);
    }

    if (part->topics == COMMAND_ONE || line->tool->json) {
        return report_error("the configuration has several topics: choose one "
                            "by --topic");
    }

    listed = NULL;

    if (conf->topics_pattern) {
        conf = listed = command_list_topics(conf);
        if (listed == NULL) {
            return -1;
        }
    }

    status = part->topics == COMMAND_ALL ? command_do(part, line->tool, conf)
                                         : command_each(line, conf);
    conf_free(listed);

    return status;
}


/* The only topic, or one of several. */

static int
command_one(command_line_t *line, const conf_t *conf, const char *topic)
{
    int            status;
    char           err[CONF_ERROR_MAX];
    const conf_t  *chosen;

    if (topic == NULL || conf == NULL) {
        return command_do(line->part, line->tool, conf);
    }

    if (!conf->several) {
        if (strcmp(topic, conf->topic) == 0) {
            return command_do(line->part, line->tool, conf);
        }

        return report_error("the configuration has topic \"%s\" alone",
                            conf->topic);
    }

    chosen = conf_choose(conf, &topic, 1, err);

    if (chosen == NULL || chosen->ntopics == 0) {
        report_error("%s", chosen == NULL ? err
                     : conf->topics_pattern && chosen->topics_left
                     ? chosen->topics_left : "the configuration has no such "
                     "topic");
        conf_free(chosen);
        return -1;
    }

    status = command_do(line->part, line->tool, chosen->topics[0].conf);
    conf_free(chosen);

    return status;
}


/* A pattern's topics, as the cluster has them now. */

static const conf_t *
command_list_topics(const conf_t *conf)
{
    char                    err[CONF_ERROR_MAX];
    tool_t                  tool = { 0 };
    const conf_t           *chosen;
    const lookup_result_t  *result;

    tool_init(&tool, conf);
    tool.lookup = lookup_create(conf, NULL);
    result = tool_lookup(&tool, tool.lookup, false);
    chosen = NULL;

    if (result) {
        chosen = conf_choose(conf, (const char *const *) result->names,
                             result->nnames, err);
        if (chosen == NULL) {
            report_error("%s", err);

        } else if (chosen->topics_left) {
            report_error("%s", chosen->topics_left);
        }

        if (chosen && chosen->ntopics == 0) {
            report_error("no topic is read");
            conf_free(chosen);
            chosen = NULL;
        }
    }

    tool_close(&tool);

    return chosen;
}


/* Runs it for each topic, with the same arguments. */

static int
command_each(command_line_t *line, const conf_t *conf)
{
    int     rc, status;
    void   *arguments;
    size_t  i;

    arguments = malloc(line->part->size);
    if (arguments == NULL) {
        return report_error("out of memory");
    }

    memcpy(arguments, line->tool, line->part->size);
    status = COMMAND_OK;

    for (i = 0; i < conf->ntopics && status != COMMAND_USAGE; i++) {
        memcpy(line->tool, arguments, line->part->size);
        printf("%stopic \"%s\"\n", i ? "\n" : "", conf->topics[i].name);
        (void) fflush(stdout);

        rc = command_do(line->part, line->tool, conf->topics[i].conf);
        status = rc == COMMAND_OK ? status : rc;
    }

    free(arguments);

    return status;
}


static int
command_do(const command_t *command, tool_t *tool, const conf_t *conf)
{
    int  status;

    tool_init(tool, conf);

    if (tool->noperands < command->least || tool->noperands > command->most
        || (command->check && command->check(tool) == -1))
    {
        status = COMMAND_USAGE;

    } else {
        status = tool_open(tool, command->open);

        if (status == 0) {
            status = command->run(tool);
        }
    }

    tool_close(tool);

    return status;
}


void
command_usage(FILE *out, const command_t *command)
{
    fprintf(out, "usage: sluice-consumer %s%s %s",
            command->bare ? "" : "--config FILE ", command->name,
            command->usage);
}


void
command_list(FILE *out)
{
    size_t  i;

    for (i = 0; commands[i]; i++) {
        fprintf(out, "  %-18s  %s\n", commands[i]->name, commands[i]->help);
    }
}
