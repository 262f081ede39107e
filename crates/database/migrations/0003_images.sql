-- Pictures that people upload. Their bytes lie in a store of their own (a folder, or S3); here is what is known of them.

-- file_name is what a picture is called on the wire, object what its bytes are called in the store: made by us, so that no
-- client's text is ever a path. unreferenced_since is empty while something refers to the picture.
CREATE TABLE IF NOT EXISTS images (
  id {{row}} NOT NULL PRIMARY KEY,
  owner_id {{id}} NOT NULL,
  file_name {{text:160}} NOT NULL,
  format {{name}} NOT NULL,
  bytes {{bigint}} NOT NULL,
  width {{int}} NOT NULL,
  height {{int}} NOT NULL,
  object {{name}} NOT NULL,
  sha256 {{hash}} NOT NULL,
  created_at {{time}} NOT NULL,
  unreferenced_since {{time}},
  FOREIGN KEY (owner_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE UNIQUE INDEX IF NOT EXISTS images_file_name ON images (owner_id, file_name);
CREATE UNIQUE INDEX IF NOT EXISTS images_object ON images (object);
CREATE INDEX IF NOT EXISTS images_unreferenced ON images (unreferenced_since);

-- What refers to a picture (source_kind and the number of its row), and who may read that and so may see the picture: a
-- family or an account. A message has two of these, for the one who wrote it and for the one who got it.
CREATE TABLE IF NOT EXISTS image_references (
  id {{row}} NOT NULL PRIMARY KEY,
  image_id {{row}} NOT NULL,
  family_id {{id}},
  account_id {{id}},
  source_kind {{name}} NOT NULL,
  source_id {{row}} NOT NULL,
  FOREIGN KEY (image_id) REFERENCES images (id) ON DELETE CASCADE,
  FOREIGN KEY (family_id) REFERENCES families (id) ON DELETE CASCADE,
  FOREIGN KEY (account_id) REFERENCES accounts (id) ON DELETE CASCADE
) {{clustered}};
CREATE INDEX IF NOT EXISTS image_references_image ON image_references (image_id, id);
CREATE INDEX IF NOT EXISTS image_references_family ON image_references (family_id, id);
CREATE INDEX IF NOT EXISTS image_references_account ON image_references (account_id, id);
CREATE INDEX IF NOT EXISTS image_references_source ON image_references (source_id, source_kind);

-- Objects whose rows are gone and which are still to be deleted from the store. Written in the transaction that deletes the
-- row, emptied when the object is gone.
CREATE TABLE IF NOT EXISTS discarded_images (
  object {{name}} NOT NULL PRIMARY KEY,
  discarded_at {{time}} NOT NULL
) {{clustered}};
