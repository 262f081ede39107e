-- What comes from other people's services: weather, news, disaster messages; and who of several servers asks them.

-- One of several servers does a job: until when, by its own clock.
CREATE TABLE IF NOT EXISTS job_leases (
  name {{name}} NOT NULL PRIMARY KEY,
  holder {{bigint}} NOT NULL,
  leased_until {{time}} NOT NULL
) {{clustered}};

-- The last good forecast for a cell of the grid; hours is a list in JSON.
CREATE TABLE IF NOT EXISTS weather_cells (
  grid_x {{int}} NOT NULL,
  grid_y {{int}} NOT NULL,
  issued_at {{time}} NOT NULL,
  fetched_at {{time}} NOT NULL,
  hours {{long_text}} NOT NULL,
  PRIMARY KEY (grid_x, grid_y)
) {{clustered}};

-- What the news of a day already has; link_hash is the SHA-256 of a link.
CREATE TABLE IF NOT EXISTS news_links (
  category {{name}} NOT NULL,
  link_hash {{hash}} NOT NULL,
  pub_date {{date}} NOT NULL,
  PRIMARY KEY (category, link_hash, pub_date)
) {{clustered}};
CREATE INDEX IF NOT EXISTS news_links_day ON news_links (pub_date);

-- The last round of a source of news; source_hash is the SHA-256 of its address.
CREATE TABLE IF NOT EXISTS news_rounds (
  category {{name}} NOT NULL,
  source_hash {{hash}} NOT NULL,
  day {{date}} NOT NULL,
  failures {{int}} NOT NULL,
  is_done {{flag}} NOT NULL,
  tried_at {{time}} NOT NULL,
  PRIMARY KEY (category, source_hash)
) {{clustered}};

-- One row: since when this installation listens for disaster messages.
CREATE TABLE IF NOT EXISTS disaster_listening (
  id {{int}} NOT NULL PRIMARY KEY,
  since {{time}} NOT NULL
) {{clustered}};

-- Disaster messages by their serial number. While is_pending is set the message is being handed to the families; those whose
-- main user's address and id come up to the cursor have it.
CREATE TABLE IF NOT EXISTS disaster_messages (
  sn {{bigint}} NOT NULL PRIMARY KEY,
  created_at {{time}} NOT NULL,
  received_at {{time}} NOT NULL,
  content {{long_text}} NOT NULL,
  regions {{long_text}} NOT NULL,
  step {{text:64}} NOT NULL,
  kind {{text:64}} NOT NULL,
  is_pending {{flag}} NOT NULL,
  cursor_address {{text:128}},
  cursor_account {{id}}
) {{clustered}};
CREATE INDEX IF NOT EXISTS disaster_messages_pending ON disaster_messages (is_pending, sn);
CREATE INDEX IF NOT EXISTS disaster_messages_received ON disaster_messages (received_at);

-- Which family has which message. It outlives the notification, so that nobody gets a message twice.
CREATE TABLE IF NOT EXISTS disaster_deliveries (
  family_id {{id}} NOT NULL,
  sn {{bigint}} NOT NULL,
  notification_id {{row}} NOT NULL,
  delivered_at {{time}} NOT NULL,
  PRIMARY KEY (family_id, sn),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS disaster_deliveries_sn ON disaster_deliveries (sn, family_id);

-- Families are looked for by the address of their main user.
CREATE INDEX IF NOT EXISTS accounts_address ON accounts (address, id);
