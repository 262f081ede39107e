-- Invitations into a family. A row is one use until a time; the token itself is in the link that was shown once, and nowhere else.

CREATE TABLE IF NOT EXISTS invitations (
  id {{row}} NOT NULL PRIMARY KEY,
  family_id {{id}} NOT NULL,
  token_hash {{hash}} NOT NULL,
  created_by {{id}} NOT NULL,
  created_at {{time}} NOT NULL,
  expires_at {{time}} NOT NULL,
  used_at {{time}},
  used_by {{id}},
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE,
  FOREIGN KEY (created_by) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS invitations_token ON invitations (token_hash);
CREATE INDEX IF NOT EXISTS invitations_family ON invitations (family_id, id);
CREATE INDEX IF NOT EXISTS invitations_creator ON invitations (created_by, id);
