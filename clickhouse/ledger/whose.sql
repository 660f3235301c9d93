getSetting('log_comment') = 'platform' OR tenant = toUUIDOrNull(getSetting('log_comment'))
