-- Changes of who is an owner go one after the other; nothing else waits for this.
SELECT id FROM organisations WHERE id = $1 FOR NO KEY UPDATE
