/* config.c - see config.h. */
#include "broker/base/config.h"

bool config_has_rule(const struct config_rules *rules)
{
    for (int i = 0; i < rules->count; i++)
        if (rules->at[i].kind != 0)
            return true;
    return false;
}

const char *config_front_option(const struct config *config)
{
    if (config_has_rule(&config->hold))
        return "--hold";
    if (config_has_rule(&config->accept_proxy))
        return "--accept-proxy";
    if (config->allow.count > 0)
        return "--allow";
    if (config->deny.count > 0)
        return "--deny";
    if (config->max_conns_per_worker > 0)
        return "--max-conns-per-worker";
    if (config->per_source.conns > 0)
        return "--max-conns-per-source";
    if (config->per_source.rate > 0)
        return "--max-rate-per-source";
    if (config->when_full.kind != WHEN_FULL_QUEUE)
        return "--when-full";
    if (config->leader.count > 0)
        return "--leader";
    if (config->skip_dead)
        return "--skip-dead";
    return config->unmap ? "--unmap" : NULL;
}
