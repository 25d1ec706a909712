"""Who may ask for what: keys, roles, limits, the audit trail, and the wall between users in Postgres."""
