-- Forgotten passwords. A row is who may set a new one until when; the token itself is in a mail and nowhere else.

CREATE TABLE IF NOT EXISTS password_resets (
  account_id {{id}} NOT NULL,
  token_hash {{hash}} NOT NULL,
  created_at {{time}} NOT NULL,
  expires_at {{time}} NOT NULL,
  PRIMARY KEY (account_id),
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS password_resets_token ON password_resets (token_hash);
