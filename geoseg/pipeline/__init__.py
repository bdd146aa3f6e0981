"""`geoseg run`: the verbs composed, from one YAML file; each step reads what the steps before it wrote."""
