-- Alarms: from a reading to a person. Events, rules and their states, alarms with their timelines, and what is handed to whom.

-- Where a family's events and timeline end. Whoever writes one of them locks this row first, so that both are numbered in
-- the order of their commits. It is a row of its own because reports lock the family's row for their foreign key.
CREATE TABLE IF NOT EXISTS family_heads (
  family_id {{id}} NOT NULL PRIMARY KEY,
  event_seq {{bigint}} NOT NULL,
  entry_seq {{bigint}} NOT NULL,
  entry_hash {{hash}},
  changed_at {{time}} NOT NULL,
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS family_heads_changed ON family_heads (changed_at);

INSERT INTO family_heads (family_id, event_seq, entry_seq, entry_hash, changed_at)
  SELECT id, 0, 0, NULL, 0 FROM families WHERE id NOT IN (SELECT family_id FROM family_heads);

-- body is a JSON object. from_id and to_id are set if it is for these two accounts alone.
CREATE TABLE IF NOT EXISTS events (
  family_id {{id}} NOT NULL,
  seq {{bigint}} NOT NULL,
  created_at {{time}} NOT NULL,
  kind {{name}} NOT NULL,
  from_id {{id}},
  to_id {{id}},
  body {{long_text}} NOT NULL,
  PRIMARY KEY (family_id, seq),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS events_created ON events (created_at);

-- Numbers that all servers look at: how often somebody's rights changed, when the alarm loop last turned.
CREATE TABLE IF NOT EXISTS signals (
  name {{name}} NOT NULL PRIMARY KEY,
  value {{bigint}} NOT NULL
) {{clustered}};

-- What this installation made for itself and must not lose: keys of web push, the mark of the timeline's key.
CREATE TABLE IF NOT EXISTS installation (
  name {{name}} NOT NULL PRIMARY KEY,
  value {{long_text}} NOT NULL
) {{clustered}};

-- Which requests were carried out already. The digest is that of the request's content.
CREATE TABLE IF NOT EXISTS idempotency_keys (
  account_id {{id}} NOT NULL,
  key_hash {{hash}} NOT NULL,
  digest {{hash}} NOT NULL,
  row_id {{row}} NOT NULL,
  created_at {{time}} NOT NULL,
  PRIMARY KEY (account_id, key_hash),
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS idempotency_keys_created ON idempotency_keys (created_at);

-- What is known of a family's robot: when it last said that it lives, read its prompts, was refused.
CREATE TABLE IF NOT EXISTS robots (
  family_id {{id}} NOT NULL PRIMARY KEY,
  heard_at {{time}},
  prompts_at {{time}},
  refused_at {{time}},
  version {{text:64}},
  battery {{int}},
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

-- What a family set about a rule: numbers that differ from the defaults, in JSON; and until when it is muted, by whom and why.
CREATE TABLE IF NOT EXISTS rules (
  family_id {{id}} NOT NULL,
  rule {{name}} NOT NULL,
  parameters {{long_text}} NOT NULL,
  muted_until {{time}},
  muted_by {{id}},
  muted_reason {{text:255}},
  updated_at {{time}} NOT NULL,
  PRIMARY KEY (family_id, rule),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

-- What a rule knows. dirty_from: since when readings came in that it has not seen. due_at: when to look.
CREATE TABLE IF NOT EXISTS rule_states (
  family_id {{id}} NOT NULL,
  rule {{name}} NOT NULL,
  level {{name}},
  warn_since {{time}},
  crit_since {{time}},
  normal_since {{time}},
  last_at {{time}},
  last_value {{real}},
  dirty_from {{time}},
  due_at {{time}},
  PRIMARY KEY (family_id, rule),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS rule_states_due ON rule_states (due_at);

-- open_rule is the rule's name while the alarm is active: one of each at a time.
CREATE TABLE IF NOT EXISTS alarms (
  id {{row}} NOT NULL PRIMARY KEY,
  family_id {{id}} NOT NULL,
  rule {{name}} NOT NULL,
  open_rule {{name}},
  severity {{name}} NOT NULL,
  sensed_at {{time}} NOT NULL,
  last_sensed_at {{time}} NOT NULL,
  raised_at {{time}} NOT NULL,
  late_by {{bigint}} NOT NULL,
  occurrences {{int}} NOT NULL,
  value {{real}},
  cause {{name}} NOT NULL,
  cause_id {{row}},
  image_url {{long_text}},
  notification_id {{row}},
  acknowledged_at {{time}},
  acknowledged_by {{id}},
  cleared_at {{time}},
  cleared_by {{id}},
  clear_reason {{name}},
  ended_at {{time}},
  snoozed_until {{time}},
  snoozed_by {{id}},
  ask_until {{time}},
  answer {{name}},
  episode {{int}} NOT NULL,
  climb_from {{time}} NOT NULL,
  next_step {{int}} NOT NULL,
  next_at {{time}},
  handed_at {{time}},
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS alarms_open ON alarms (family_id, open_rule);
CREATE INDEX IF NOT EXISTS alarms_family ON alarms (family_id, raised_at, id);
CREATE INDEX IF NOT EXISTS alarms_rule ON alarms (family_id, rule, sensed_at);
CREATE INDEX IF NOT EXISTS alarms_next ON alarms (next_at);

-- Which notifications show an alarm to existing clients: its own, and those it adopted.
CREATE TABLE IF NOT EXISTS alarm_notifications (
  notification_id {{row}} NOT NULL PRIMARY KEY,
  family_id {{id}} NOT NULL,
  alarm_id {{row}} NOT NULL,
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS alarm_notifications_family ON alarm_notifications (family_id, notification_id);
CREATE INDEX IF NOT EXISTS alarm_notifications_alarm ON alarm_notifications (alarm_id);

-- The timeline: entries of a family in one chain. The hash is a keyed one over this entry and the one before it; the key lies
-- outside of the database. Entries hold ids, never names. body is a JSON object, kept as the text that was hashed.
CREATE TABLE IF NOT EXISTS alarm_entries (
  family_id {{id}} NOT NULL,
  seq {{bigint}} NOT NULL,
  alarm_id {{row}} NOT NULL,
  at {{time}} NOT NULL,
  kind {{name}} NOT NULL,
  body {{long_text}} NOT NULL,
  key_id {{name}} NOT NULL,
  hash {{hash}} NOT NULL,
  PRIMARY KEY (family_id, seq),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS alarm_entries_alarm ON alarm_entries (alarm_id, seq);

-- What remains of the chain of a deleted family: how long it was and how it ended, signed.
CREATE TABLE IF NOT EXISTS alarm_stubs (
  family_id {{id}} NOT NULL PRIMARY KEY,
  deleted_at {{time}} NOT NULL,
  entries {{bigint}} NOT NULL,
  head {{hash}},
  key_id {{name}} NOT NULL,
  signature {{hash}} NOT NULL
) {{clustered}};

-- What is to be handed to whom. due_at is empty once it is done; ended says how: handed, cancelled, unreachable.
CREATE TABLE IF NOT EXISTS deliveries (
  id {{row}} NOT NULL PRIMARY KEY,
  family_id {{id}} NOT NULL,
  alarm_id {{row}} NOT NULL,
  episode {{int}} NOT NULL,
  step {{int}} NOT NULL,
  account_id {{id}} NOT NULL,
  created_at {{time}} NOT NULL,
  due_at {{time}},
  leased_until {{time}},
  holder {{bigint}},
  attempts {{int}} NOT NULL,
  ended {{name}},
  ended_at {{time}},
  channel {{name}},
  shown_at {{time}},
  last_error {{text:255}},
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE,
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS deliveries_once ON deliveries (alarm_id, episode, step, account_id);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due_at);
CREATE INDEX IF NOT EXISTS deliveries_account ON deliveries (account_id, id);
CREATE INDEX IF NOT EXISTS deliveries_family ON deliveries (family_id, id);

-- The ladder of a family for a severity: steps in JSON.
CREATE TABLE IF NOT EXISTS ladders (
  family_id {{id}} NOT NULL,
  severity {{name}} NOT NULL,
  steps {{long_text}} NOT NULL,
  updated_at {{time}} NOT NULL,
  PRIMARY KEY (family_id, severity),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

-- How somebody wants to be told: channels in their order (a list with commas), quiet minutes of the Korean day, a webhook.
CREATE TABLE IF NOT EXISTS contact_channels (
  account_id {{id}} NOT NULL PRIMARY KEY,
  channels {{text:128}} NOT NULL,
  quiet_from {{int}},
  quiet_until {{int}},
  webhook_url {{long_text}},
  webhook_secret {{text:255}},
  updated_at {{time}} NOT NULL,
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};

-- Browsers and phones that take web push. The endpoint is a secret: who knows it can send there.
CREATE TABLE IF NOT EXISTS push_subscriptions (
  id {{row}} NOT NULL PRIMARY KEY,
  account_id {{id}} NOT NULL,
  endpoint_hash {{hash}} NOT NULL,
  endpoint {{long_text}} NOT NULL,
  p256dh {{text:128}} NOT NULL,
  auth {{text:64}} NOT NULL,
  label {{text:64}},
  created_at {{time}} NOT NULL,
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS push_subscriptions_endpoint ON push_subscriptions (endpoint_hash);
CREATE INDEX IF NOT EXISTS push_subscriptions_account ON push_subscriptions (account_id, id);

-- When a channel last took something for somebody, and when it last did not.
CREATE TABLE IF NOT EXISTS channel_health (
  account_id {{id}} NOT NULL,
  channel {{name}} NOT NULL,
  succeeded_at {{time}},
  failed_at {{time}},
  failures {{int}} NOT NULL,
  last_error {{text:255}},
  PRIMARY KEY (account_id, channel),
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};

-- Who has a page open that reads the stream, at which server, until when that is believed.
CREATE TABLE IF NOT EXISTS stream_presence (
  account_id {{id}} NOT NULL,
  node {{bigint}} NOT NULL,
  believed_until {{time}} NOT NULL,
  PRIMARY KEY (account_id, node),
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS stream_presence_until ON stream_presence (believed_until);
