SELECT tenant, id, kind, subject, topic, body, tries FROM claim_jobs($1, $2, $3, $4)
