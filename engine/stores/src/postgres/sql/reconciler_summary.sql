SELECT tenant, to_ms, healed, open, waiting FROM reconciler_summary($1)
