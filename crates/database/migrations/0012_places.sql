-- Who follows which family is known by account and family: the ids one behind the other, the second missing for all families.

CREATE TABLE IF NOT EXISTS stream_places (
  place {{text:64}} NOT NULL,
  node {{bigint}} NOT NULL,
  believed_until {{time}} NOT NULL,
  PRIMARY KEY (place, node)
) {{clustered}};
CREATE INDEX IF NOT EXISTS stream_places_until ON stream_places (believed_until);
DROP TABLE IF EXISTS stream_presence;
