SELECT name FROM organisations
