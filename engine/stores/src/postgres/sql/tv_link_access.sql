SELECT tenant, id, name, business, agent FROM tv_link_access($1, $2)
