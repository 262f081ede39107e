-- Alarms that are told again: what is new counts from its own beginning, not from that of the alarm. Zero stands for rows from before.

-- run_at: when the first of those was sensed that count as the same. rounds: how often nobody confirmed it since anything new was told.
-- danger_episode: with which climb of the ladder the last new danger began.
-- only: sqlite
ALTER TABLE alarms ADD COLUMN run_at {{time}} NOT NULL DEFAULT 0;
-- only: sqlite
ALTER TABLE alarms ADD COLUMN rounds {{int}} NOT NULL DEFAULT 0;
-- only: sqlite
ALTER TABLE alarms ADD COLUMN danger_episode {{int}} NOT NULL DEFAULT 0;
-- only: mariadb
ALTER TABLE alarms ADD COLUMN IF NOT EXISTS run_at {{time}} NOT NULL DEFAULT 0;
-- only: mariadb
ALTER TABLE alarms ADD COLUMN IF NOT EXISTS rounds {{int}} NOT NULL DEFAULT 0;
-- only: mariadb
ALTER TABLE alarms ADD COLUMN IF NOT EXISTS danger_episode {{int}} NOT NULL DEFAULT 0;

UPDATE alarms SET run_at = last_sensed_at WHERE run_at = 0;

-- During which climb of the ladder a notification was made.
-- only: sqlite
ALTER TABLE alarm_notifications ADD COLUMN episode {{int}} NOT NULL DEFAULT 0;
-- only: mariadb
ALTER TABLE alarm_notifications ADD COLUMN IF NOT EXISTS episode {{int}} NOT NULL DEFAULT 0;

-- When a channel was first tried.
-- only: sqlite
ALTER TABLE deliveries ADD COLUMN tried_at {{time}};
-- only: mariadb
ALTER TABLE deliveries ADD COLUMN IF NOT EXISTS tried_at {{time}};
