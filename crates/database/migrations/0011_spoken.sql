-- When the robot read a message out to the elder.

-- only: sqlite
ALTER TABLE messages ADD COLUMN spoken_at {{time}};
-- only: mariadb
ALTER TABLE messages ADD COLUMN IF NOT EXISTS spoken_at {{time}};
