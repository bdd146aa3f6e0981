"""Objects of scenes far larger than memory: what tiles saw of them, painted, matched and joined."""
