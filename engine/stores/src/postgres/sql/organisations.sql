SELECT id, name FROM all_organisations()
