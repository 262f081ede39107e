-- The tables everything later stands on.
-- Written once for both engines: {{words}} are the engine's types, a statement below `-- only: ENGINE` is for it alone.
-- Times are unix milliseconds (UTC), dates YYYY-MM-DD, booleans 0 and 1. Every foreign key cascades.

-- Row numbers: one node number per server process, leased (see ambient.rs).
CREATE TABLE IF NOT EXISTS nodes (
  node {{bigint}} NOT NULL PRIMARY KEY,
  leased_until {{time}} NOT NULL,
  holder {{bigint}} NOT NULL
) {{clustered}};

INSERT INTO nodes (node, leased_until, holder)
  WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 63)
  SELECT n, 0, 0 FROM numbers WHERE NOT EXISTS (SELECT 1 FROM nodes);

-- email_key is what addresses are compared by; both are empty (NULL) once the account is deleted.
CREATE TABLE IF NOT EXISTS accounts (
  id {{id}} NOT NULL PRIMARY KEY,
  email {{text:128}},
  email_key {{text:128}},
  password_hash {{text:256}} NOT NULL,
  role {{name}} NOT NULL,
  user_name {{text:32}},
  birth_date {{date}},
  gender {{name}},
  address {{text:128}},
  created_at {{time}} NOT NULL,
  deleted_at {{time}}
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS accounts_email ON accounts (email_key);
-- Only of the marked rows where that can be said: it costs nothing for the living ones, and SQLite cannot mistake it for
-- the way to them.
-- only: sqlite
CREATE INDEX IF NOT EXISTS accounts_deleted ON accounts (deleted_at) WHERE deleted_at IS NOT NULL;
-- only: mariadb
CREATE INDEX IF NOT EXISTS accounts_deleted ON accounts (deleted_at);
CREATE INDEX IF NOT EXISTS accounts_person ON accounts (user_name, birth_date);

CREATE TABLE IF NOT EXISTS contacts (
  account_id {{id}} NOT NULL PRIMARY KEY,
  phone {{text:32}},
  language {{name}} NOT NULL,
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};

-- Only the SHA-256 of a session's token is stored.
CREATE TABLE IF NOT EXISTS sessions (
  token_hash {{hash}} NOT NULL PRIMARY KEY,
  id {{row}} NOT NULL,
  account_id {{id}} NOT NULL,
  kind {{name}} NOT NULL,
  label {{text:64}},
  is_main {{flag}} NOT NULL,
  is_remembered {{flag}} NOT NULL,
  created_at {{time}} NOT NULL,
  last_seen {{time}} NOT NULL,
  revoked_at {{time}},
  refused_at {{time}},
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS sessions_id ON sessions (id);
CREATE INDEX IF NOT EXISTS sessions_account ON sessions (account_id);
CREATE INDEX IF NOT EXISTS sessions_last_seen ON sessions (last_seen);

-- main_user is empty (NULL) once the family is deleted, so that its owner can have another.
CREATE TABLE IF NOT EXISTS families (
  id {{id}} NOT NULL PRIMARY KEY,
  main_user {{id}},
  family_name {{text:32}},
  created_at {{time}} NOT NULL,
  deleted_at {{time}},
  FOREIGN KEY (main_user) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS families_main_user ON families (main_user);
-- only: sqlite
CREATE INDEX IF NOT EXISTS families_deleted ON families (deleted_at) WHERE deleted_at IS NOT NULL;
-- only: mariadb
CREATE INDEX IF NOT EXISTS families_deleted ON families (deleted_at);

CREATE TABLE IF NOT EXISTS members (
  id {{id}} NOT NULL PRIMARY KEY,
  family_id {{id}} NOT NULL,
  user_id {{id}} NOT NULL,
  nickname {{text:32}},
  position {{name}} NOT NULL,
  sort_order {{int}} NOT NULL,
  created_at {{time}} NOT NULL,
  approved_at {{time}},
  approved_by {{id}},
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE,
  FOREIGN KEY (user_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS members_family_user ON members (family_id, user_id);
CREATE INDEX IF NOT EXISTS members_user ON members (user_id);

CREATE TABLE IF NOT EXISTS settings (
  family_id {{id}} NOT NULL PRIMARY KEY,
  is_alarm_enabled {{flag}} NOT NULL,
  is_camera_enabled {{flag}} NOT NULL,
  is_microphone_enabled {{flag}} NOT NULL,
  is_driving_enabled {{flag}} NOT NULL,
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

-- Reports: a family's lie together, sorted by time. source_key makes replays of one report the same row.
CREATE TABLE IF NOT EXISTS home_status (
  family_id {{id}} NOT NULL,
  reported_at {{time}} NOT NULL,
  id {{row}} NOT NULL,
  received_at {{time}} NOT NULL,
  source_key {{text:64}},
  temperature {{real}},
  humidity {{real}},
  dust_level {{real}},
  ethanol {{real}},
  others {{long_text}},
  PRIMARY KEY (family_id, reported_at, id),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

CREATE TABLE IF NOT EXISTS health_status (
  family_id {{id}} NOT NULL,
  reported_at {{time}} NOT NULL,
  id {{row}} NOT NULL,
  received_at {{time}} NOT NULL,
  source_key {{text:64}},
  heart_rate {{int}},
  PRIMARY KEY (family_id, reported_at, id),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

CREATE TABLE IF NOT EXISTS active_status (
  family_id {{id}} NOT NULL,
  reported_at {{time}} NOT NULL,
  id {{row}} NOT NULL,
  received_at {{time}} NOT NULL,
  source_key {{text:64}},
  score {{int}},
  action {{text:32}},
  is_critical {{flag}},
  description {{long_text}},
  image_url {{long_text}},
  PRIMARY KEY (family_id, reported_at, id),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

CREATE TABLE IF NOT EXISTS mental_status (
  family_id {{id}} NOT NULL,
  reported_at {{time}} NOT NULL,
  id {{row}} NOT NULL,
  received_at {{time}} NOT NULL,
  source_key {{text:64}},
  score {{int}},
  is_critical {{flag}},
  description {{long_text}},
  PRIMARY KEY (family_id, reported_at, id),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

CREATE TABLE IF NOT EXISTS mental_reports (
  family_id {{id}} NOT NULL,
  reported_at {{time}} NOT NULL,
  id {{row}} NOT NULL,
  received_at {{time}} NOT NULL,
  source_key {{text:64}},
  start_time {{time}},
  end_time {{time}},
  average_score {{int}},
  critical_days {{int}},
  best_day {{date}},
  worst_day {{date}},
  improvement_needed {{flag}},
  summary {{long_text}},
  PRIMARY KEY (family_id, reported_at, id),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

-- An index of the rows that have a key costs nothing for those that have none; MariaDB has no such index.
-- only: sqlite
CREATE UNIQUE INDEX IF NOT EXISTS home_status_source ON home_status (family_id, source_key) WHERE source_key IS NOT NULL;
-- only: sqlite
CREATE UNIQUE INDEX IF NOT EXISTS health_status_source ON health_status (family_id, source_key) WHERE source_key IS NOT NULL;
-- only: sqlite
CREATE UNIQUE INDEX IF NOT EXISTS active_status_source ON active_status (family_id, source_key) WHERE source_key IS NOT NULL;
-- only: sqlite
CREATE UNIQUE INDEX IF NOT EXISTS mental_status_source ON mental_status (family_id, source_key) WHERE source_key IS NOT NULL;
-- only: sqlite
CREATE UNIQUE INDEX IF NOT EXISTS mental_reports_source ON mental_reports (family_id, source_key) WHERE source_key IS NOT NULL;
-- only: mariadb
CREATE UNIQUE INDEX IF NOT EXISTS home_status_source ON home_status (family_id, source_key);
-- only: mariadb
CREATE UNIQUE INDEX IF NOT EXISTS health_status_source ON health_status (family_id, source_key);
-- only: mariadb
CREATE UNIQUE INDEX IF NOT EXISTS active_status_source ON active_status (family_id, source_key);
-- only: mariadb
CREATE UNIQUE INDEX IF NOT EXISTS mental_status_source ON mental_status (family_id, source_key);
-- only: mariadb
CREATE UNIQUE INDEX IF NOT EXISTS mental_reports_source ON mental_reports (family_id, source_key);

CREATE TABLE IF NOT EXISTS messages (
  id {{row}} NOT NULL PRIMARY KEY,
  from_id {{id}} NOT NULL,
  to_id {{id}} NOT NULL,
  created_at {{time}} NOT NULL,
  content {{long_text}},
  image_url {{long_text}},
  is_read {{flag}} NOT NULL,
  FOREIGN KEY (from_id) REFERENCES accounts (id) ON DELETE CASCADE,
  FOREIGN KEY (to_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS messages_to ON messages (to_id, created_at, id);
CREATE INDEX IF NOT EXISTS messages_unread ON messages (to_id, is_read, created_at, id);
CREATE INDEX IF NOT EXISTS messages_from ON messages (from_id, created_at, id);

CREATE TABLE IF NOT EXISTS notifications (
  family_id {{id}} NOT NULL,
  created_at {{time}} NOT NULL,
  id {{row}} NOT NULL,
  grade {{name}},
  description {{long_text}},
  message_sn {{bigint}},
  is_read {{flag}} NOT NULL,
  image_url {{long_text}},
  PRIMARY KEY (family_id, created_at, id),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS notifications_id ON notifications (id);
CREATE INDEX IF NOT EXISTS notifications_unread ON notifications (family_id, is_read, created_at, id);

CREATE TABLE IF NOT EXISTS backgrounds (
  id {{row}} NOT NULL PRIMARY KEY,
  family_id {{id}} NOT NULL,
  uploader_id {{id}} NOT NULL,
  image_url {{long_text}},
  created_at {{time}} NOT NULL,
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE,
  FOREIGN KEY (uploader_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS backgrounds_family ON backgrounds (family_id, id);
CREATE INDEX IF NOT EXISTS backgrounds_uploader ON backgrounds (uploader_id);

CREATE TABLE IF NOT EXISTS news (
  id {{row}} NOT NULL PRIMARY KEY,
  category {{name}} NOT NULL,
  title {{text:255}} NOT NULL,
  link {{long_text}} NOT NULL,
  image_url {{long_text}},
  pub_date {{date}} NOT NULL,
  created_at {{time}} NOT NULL
) {{clustered}};
CREATE INDEX IF NOT EXISTS news_day ON news (pub_date, category, id);
