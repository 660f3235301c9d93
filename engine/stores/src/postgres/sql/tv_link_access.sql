SELECT tenant, id, name, business, agent, direction FROM tv_link_access($1, $2)
