-- The tables of an existing installation as real ones have them: ids of fixed width, utf8mb4_bin, times in UTC, a mean score
-- with a fraction. Without foreign keys and with the settings of old servers, so that rows can be there that break rules.
SET SESSION sql_mode = '', time_zone = '+00:00';

CREATE TABLE accounts (
  id char(16) NOT NULL PRIMARY KEY,
  email varchar(128) NOT NULL UNIQUE,
  password varchar(128) NOT NULL,
  role enum('TEST','SYSTEM','MAIN','SUB') NOT NULL,
  user_name varchar(32),
  birth_date date,
  gender enum('MALE','FEMALE','OTHER'),
  address varchar(128)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE families (
  id char(16) NOT NULL PRIMARY KEY,
  main_user char(16) NOT NULL,
  family_name varchar(128),
  KEY (main_user)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE memberrelations (
  id char(16) NOT NULL PRIMARY KEY,
  family_id char(16) NOT NULL,
  user_id char(16) NOT NULL,
  nickname varchar(32),
  KEY (family_id),
  KEY (user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE settings (
  family_id char(16) NOT NULL PRIMARY KEY,
  is_alarm_enabled tinyint(1) NOT NULL DEFAULT 0,
  is_camera_enabled tinyint(1) NOT NULL DEFAULT 0,
  is_microphone_enabled tinyint(1) NOT NULL DEFAULT 0,
  is_driving_enabled tinyint(1) NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE loginsessions (
  xid char(32) NOT NULL PRIMARY KEY,
  user_id char(16) NOT NULL,
  last_active timestamp NULL DEFAULT current_timestamp(),
  is_main_user tinyint(1) NOT NULL DEFAULT 0,
  is_remember tinyint(1) NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE homestatus (
  `index` int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  family_id char(16) NOT NULL,
  reported_at timestamp NULL DEFAULT current_timestamp(),
  temperature float,
  humidity float,
  dust_level float,
  ethanol float,
  others text,
  KEY (family_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE healthstatus (
  `index` int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  family_id char(16) NOT NULL,
  reported_at timestamp NULL DEFAULT current_timestamp(),
  heart_rate int(11),
  KEY (family_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE activestatus (
  `index` int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  family_id char(16) NOT NULL,
  reported_at timestamp NULL DEFAULT current_timestamp(),
  score int(11),
  action varchar(32),
  is_critical tinyint(1),
  description text,
  image_url text,
  KEY (family_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE mentalstatus (
  `index` int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  family_id char(16) NOT NULL,
  reported_at timestamp NULL DEFAULT current_timestamp(),
  score int(11),
  is_critical tinyint(1),
  description mediumtext,
  KEY (family_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE mentalreports (
  `index` int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  family_id char(16) NOT NULL,
  reported_at timestamp NULL DEFAULT current_timestamp(),
  start_time timestamp NULL DEFAULT NULL,
  end_time timestamp NULL DEFAULT NULL,
  average_score float,
  critical_days int(11),
  best_day date,
  worst_day date,
  improvement_needed tinyint(1),
  summary text,
  KEY (family_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE messages (
  `index` int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  from_id char(16) NOT NULL,
  to_id char(16) NOT NULL,
  created_at timestamp NULL DEFAULT current_timestamp(),
  content text,
  image_url text,
  is_read tinyint(1) DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE notifications (
  `index` int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  family_id char(16) NOT NULL,
  created_at timestamp NULL DEFAULT current_timestamp(),
  notification_grade enum('INFO','WARN','CRIT','NONE'),
  descriptions text,
  message_sn int(11),
  is_read tinyint(1) DEFAULT 0,
  image_url text,
  KEY (family_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE backgrounds (
  `index` int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  family_id char(16) NOT NULL,
  uploader_id char(16) NOT NULL,
  image_url text
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE chatsessions (
  uid varchar(36) NOT NULL PRIMARY KEY,
  user_id char(16) NOT NULL,
  created_at timestamp NULL DEFAULT current_timestamp(),
  last_active timestamp NULL DEFAULT current_timestamp()
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE chathistories (
  `index` int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  session_id varchar(36) NOT NULL,
  user_message text,
  bot_message text,
  created_at timestamp NULL DEFAULT current_timestamp(),
  user_id char(16) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE chatkeywords (
  id int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  family_id char(16) NOT NULL,
  created_at timestamp NULL DEFAULT current_timestamp(),
  keywords text
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE news (
  id int(11) NOT NULL PRIMARY KEY AUTO_INCREMENT,
  title varchar(300) NOT NULL,
  link text NOT NULL,
  pub_date date NOT NULL,
  image_url text,
  category varchar(50) NOT NULL,
  created_at timestamp NULL DEFAULT current_timestamp()
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE masterregions (
  region_name varchar(32) NOT NULL PRIMARY KEY,
  region_type varchar(32)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE subregions (
  main_region varchar(32) NOT NULL,
  sub_region_name varchar(32) NOT NULL,
  region_type varchar(32),
  PRIMARY KEY (main_region, sub_region_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE gamescores (id int PRIMARY KEY);

-- Invented people. The password of the first two is `grandma-1945` in bcrypt.
INSERT INTO accounts VALUES
  ('Uelder0000000001', 'elder@example.com', '$2b$04$BCRYPT', 'MAIN', '김순자', '1945-03-01', 'FEMALE', '경기도 수원시'),
  ('Uelder0000000002', ' Elder@Example.com', '$2b$04$BCRYPT', 'MAIN', NULL, NULL, NULL, NULL),
  ('Uguard0000000001', 'Guard@example.com', '$2b$04$BCRYPT', 'SUB', '이민준 👩‍👧', '1975-12-31', 'MALE', '서울특별시 종로구'),
  ('Uguard0000000002', 'guard2@example.com', '$2b$04$BCRYPT', 'SUB', '박서연', '1980-01-01', 'OTHER', ''),
  ('Usystem000000001', 'operator@example.com', '$2b$04$BCRYPT', 'SYSTEM', NULL, NULL, NULL, NULL),
  ('Uzero00000000001', 'no address', 'plain text', 'GODMODE', 'zero', '0000-00-00', 'ROBOT', NULL),
  ('Ubad-00000000001', 'bad@example.com', '$2b$04$BCRYPT', 'SUB', NULL, NULL, NULL, NULL);
INSERT INTO families VALUES
  ('Ffamily000000001', 'Uelder0000000001', '순자네 🏠'),
  ('Ffamily000000002', 'Uelder0000000001', 'the second'),
  ('Ffamily000000003', 'Uelder0000000002', REPEAT('가', 40)),
  ('Forphan000000001', 'Unobody000000001', NULL);
INSERT INTO memberrelations VALUES
  ('Mmember000000001', 'Ffamily000000001', 'Uguard0000000001', '막내'),
  ('Mmember000000002', 'Ffamily000000001', 'Uguard0000000001', 'the same'),
  ('Mmember000000003', 'Ffamily000000002', 'Uguard0000000002', '둘째'),
  ('Mmember000000004', 'Ffamily000000003', 'Uguard0000000001', NULL),
  ('Mmember000000005', 'Ffamily000000001', 'Unobody000000001', NULL),
  ('Mmember000000006', 'Ffamily000000002', 'Uguard0000000001', 'also in the first');
INSERT INTO settings VALUES
  ('Ffamily000000001', 1, 0, 1, 0), ('Ffamily000000002', 0, 1, 0, 1), ('Fnobody000000001', 1, 1, 1, 1);
-- Seen from 2026-03-02 09:00:00.
INSERT INTO loginsessions VALUES
  ('0000000000000000000000000000000a', 'Uelder0000000001', '2026-02-28 09:00:00', 1, 0),
  ('0000000000000000000000000000000b', 'Uguard0000000001', '2026-03-02 08:50:00', 0, 0),
  ('0000000000000000000000000000000c', 'Uguard0000000002', '2026-02-10 09:00:00', 0, 1),
  ('0000000000000000000000000000000d', 'Uguard0000000001', '2026-03-02 08:00:00', 0, 0),
  ('0000000000000000000000000000000e', 'Uguard0000000001', NULL, 0, 0),
  ('0000000000000000000000000000000f', 'Unobody000000001', '2026-03-02 08:50:00', 0, 0);
INSERT INTO homestatus VALUES
  (1, 'Ffamily000000001', '2026-03-01 00:00:01', 21.5, 12.3456789, 0, NULL, '{"pm1": 3}'),
  (2, 'Ffamily000000001', '2026-03-01 00:00:02', -3.25, NULL, 1e-05, 123457, '{''가'': 1}'),
  (3, 'Ffamily000000001', NULL, 1, NULL, NULL, NULL, NULL),
  (4, 'Ffamily000000001', '0000-00-00 00:00:00', 2, NULL, NULL, NULL, NULL),
  (5, 'Ffamily000000002', '2026-03-01 00:00:05', 3, NULL, NULL, NULL, '밖은 비 ☔'),
  (6, 'Forphan000000001', '2026-03-01 00:00:06', 4, NULL, NULL, NULL, NULL),
  (7, 'Ffamily000000003', '2026-03-01 00:00:07', 5, NULL, NULL, NULL, NULL);
INSERT INTO healthstatus VALUES
  (1, 'Ffamily000000001', '2026-03-01 00:00:01', 72), (3, 'Ffamily000000001', '2026-03-01 00:00:01', NULL);
INSERT INTO activestatus VALUES
  (1, 'Ffamily000000001', '2026-03-01 00:00:01', 90, '산책', 0, '{"where": "공원"}', NULL),
  (2, 'Ffamily000000001', '2026-03-01 00:00:02', NULL, 'fall', 1, '{''a'': None}', 'https://image.example.org/access/Uelder0000000001/fall_1.png');
INSERT INTO mentalstatus VALUES
  (1, 'Ffamily000000001', '2026-03-01 00:00:01', 30, 1, '{"overall_emotional_state": "😢"}'),
  (2, 'Ffamily000000001', '2026-03-01 00:00:02', 60, NULL, REPEAT('가', 30000));
INSERT INTO mentalreports VALUES
  (1, 'Ffamily000000001', '2026-03-01 00:00:01', '2026-02-01 00:00:00', '2026-02-28 23:59:59', 67.5, 2, '2026-02-03', '0000-00-00', 1, '괜찮아요'),
  (2, 'Ffamily000000001', '2026-03-01 00:00:02', NULL, NULL, 50, NULL, NULL, NULL, NULL, NULL);
INSERT INTO messages VALUES
  (1, 'Uguard0000000001', 'Uelder0000000001', '2026-03-01 00:00:01', '점심 드셨어요? 🍚', 'https://image.example.org/access/Uguard0000000001/lunch_1.png', 0),
  (2, 'Uelder0000000001', 'Uguard0000000001', '2026-03-01 00:00:02', NULL, NULL, 1),
  (3, 'Uelder0000000001', 'Unobody000000001', '2026-03-01 00:00:03', 'to nobody', NULL, NULL),
  (4, 'Uguard0000000002', 'Uguard0000000001', '2026-03-01 00:00:04', 'a copied address', 'https://image.example.org/access/Uelder0000000001/fall_1.png', NULL);
INSERT INTO notifications VALUES
  (1, 'Ffamily000000001', '2026-03-01 00:00:01', 'CRIT', '낙상,거실', NULL, 0, NULL),
  (2, 'Ffamily000000001', '2026-03-01 00:00:02', NULL, '{"a": 1}', 12345, 1, NULL),
  (3, 'Ffamily000000002', '2026-03-01 00:00:03', 'PANIC', NULL, NULL, NULL, NULL),
  (4, 'Fnobody000000001', '2026-03-01 00:00:04', 'INFO', 'x', NULL, 0, NULL);
INSERT INTO backgrounds VALUES
  (1, 'Ffamily000000001', 'Uguard0000000001', 'https://image.example.org/access/Uguard0000000001/lunch_1.png'),
  (2, 'Ffamily000000001', 'Unobody000000001', NULL);
INSERT INTO chatsessions VALUES
  ('11111111-1111-4111-8111-111111111111', 'Uelder0000000001', '2026-03-01 00:00:00', '2026-03-01 00:00:09'),
  ('22222222-2222-4222-8222-222222222222', 'Unobody000000001', '2026-03-01 00:00:00', NULL);
INSERT INTO chathistories VALUES
  (1, '11111111-1111-4111-8111-111111111111', '안녕', '안녕하세요, 할머니 👵', '2026-03-01 00:00:01', 'Uelder0000000001'),
  (2, '11111111-1111-4111-8111-111111111111', NULL, NULL, '2026-03-01 00:00:02', 'Uelder0000000001');
INSERT INTO chatkeywords VALUES
  (1, 'Ffamily000000001', '2026-02-28 14:59:59', '어제,김장'),
  (2, 'Ffamily000000001', '2026-02-28 15:00:00', '손주, 병원'),
  (3, 'Ffamily000000001', '2026-03-01 01:00:00', '산책, 날씨');
INSERT INTO news VALUES
  (1, '제목', 'https://news.example.org/1', '2026-03-01', NULL, 'health', '2026-03-01 00:00:01'),
  (2, REPEAT('나', 300), 'https://news.example.org/1', '2026-03-01', 'https://news.example.org/1.png', 'health', '2026-03-01 00:00:02'),
  (3, 'x', 'https://news.example.org/3', '2026-03-01', NULL, 'crime', '2026-03-01 00:00:03');
-- More than a page of everything that there is much of.
INSERT INTO homestatus SELECT 1000 + seq, 'Ffamily000000001', FROM_UNIXTIME(1767225600 + seq), 20 + seq / 1000, 40, 10, 1, NULL FROM seq_1_to_2500;
INSERT INTO messages SELECT 1000 + seq, 'Uelder0000000001', 'Uguard0000000001', FROM_UNIXTIME(1767225600 + seq), CONCAT('메시지 ', seq), NULL, 0 FROM seq_1_to_1200;
