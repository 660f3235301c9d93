SELECT written, hash FROM audit_heads
