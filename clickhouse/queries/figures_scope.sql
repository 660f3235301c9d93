-- The cut that questions about figures share; put in place of {scope}.
tenant = {tenant: UUID}
AND (empty({businesses: Array(UUID)}) OR has({businesses: Array(UUID)}, business))
AND ({agent: String} = '' OR agent_id = {agent: String})
AND ({direction: String} = '' OR direction = {direction: String})
AND ({channel: String} = '' OR channel = {channel: String})
