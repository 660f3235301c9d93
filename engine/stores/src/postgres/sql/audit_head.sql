-- Takes the end of the chain: whoever has it writes next, others wait. The clock is the database's, so that entries are in its order.
INSERT INTO audit_heads (tenant, written, hash) VALUES ($1, 0, decode(repeat('00', 32), 'hex'))
ON CONFLICT (tenant) DO UPDATE SET written = audit_heads.written
RETURNING written, hash, (extract(epoch FROM clock_timestamp()) * 1000)::bigint
