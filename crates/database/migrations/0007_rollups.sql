-- Series: reports summed up in buckets, for trends over long times.

-- size is in seconds: 300, 3600 or 86400 (a Korean day). stats: count, min, max and sum of each number of the kind.
CREATE TABLE IF NOT EXISTS rollups (
  family_id {{id}} NOT NULL,
  kind {{name}} NOT NULL,
  size {{int}} NOT NULL,
  starts_at {{time}} NOT NULL,
  reports {{bigint}} NOT NULL,
  stats {{long_text}} NOT NULL,
  PRIMARY KEY (family_id, kind, size, starts_at),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

-- Until when a family's reports of a kind are summed up, and until when the reports themselves are deleted.
-- late_count and deep_count become more with everything that changes reports which are not of the last minute: late ones that came
-- in, and anything else. Whoever keeps reports in memory compares them.
CREATE TABLE IF NOT EXISTS rollup_progress (
  family_id {{id}} NOT NULL,
  kind {{name}} NOT NULL,
  rolled_until {{time}},
  purged_until {{time}},
  late_count {{bigint}} NOT NULL,
  deep_count {{bigint}} NOT NULL,
  PRIMARY KEY (family_id, kind),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

-- Hours that have to be summed up again.
CREATE TABLE IF NOT EXISTS rollup_late (
  family_id {{id}} NOT NULL,
  kind {{name}} NOT NULL,
  starts_at {{time}} NOT NULL,
  PRIMARY KEY (family_id, kind, starts_at),
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE
) {{clustered}};

-- Nothing is deleted of what was here before anything was ever deleted, until an operator has agreed.
INSERT INTO installation (name, value)
  SELECT 'retention_held', 'reports were here before they were deleted by age' FROM families
  WHERE NOT EXISTS (SELECT 1 FROM installation WHERE name = 'retention_held') LIMIT 1;
