-- Bytes on disk of everything stored here: the platform's question.
SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()
