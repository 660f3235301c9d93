SELECT id FROM organisation_directory() WHERE platform
