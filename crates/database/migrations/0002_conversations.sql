-- Conversations with the assistant, and what is computed from them.

CREATE TABLE IF NOT EXISTS chat_sessions (
  id {{text:64}} NOT NULL PRIMARY KEY,
  account_id {{id}} NOT NULL,
  created_at {{time}} NOT NULL,
  last_active {{time}} NOT NULL,
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS chat_sessions_account ON chat_sessions (account_id, id);
CREATE INDEX IF NOT EXISTS chat_sessions_last_active ON chat_sessions (last_active);

-- What somebody said and what was answered; no answer (NULL) if there was none. A person's turns lie together.
CREATE TABLE IF NOT EXISTS chat_turns (
  account_id {{id}} NOT NULL,
  created_at {{time}} NOT NULL,
  id {{row}} NOT NULL,
  session_id {{text:64}} NOT NULL,
  user_message {{long_text}} NOT NULL,
  bot_message {{long_text}},
  model {{text:128}},
  PRIMARY KEY (account_id, created_at, id),
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS chat_turns_session ON chat_turns (session_id, created_at, id);
CREATE INDEX IF NOT EXISTS chat_turns_created_at ON chat_turns (created_at);

-- The keywords of a Korean day: a JSON list, and how many utterances it rests on.
CREATE TABLE IF NOT EXISTS chat_keywords (
  family_id {{id}} NOT NULL,
  day {{date}} NOT NULL,
  keywords {{long_text}} NOT NULL,
  utterances {{int}} NOT NULL,
  model {{text:128}},
  created_at {{time}} NOT NULL,
  PRIMARY KEY (family_id, day),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

-- What a score of mental_status rests on.
CREATE TABLE IF NOT EXISTS mental_bases (
  family_id {{id}} NOT NULL,
  reported_at {{time}} NOT NULL,
  id {{row}} NOT NULL,
  utterances {{int}} NOT NULL,
  model {{text:128}} NOT NULL,
  PRIMARY KEY (family_id, reported_at, id),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};
