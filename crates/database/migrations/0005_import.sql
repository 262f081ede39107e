-- What was taken over from an existing installation.

-- Tables whose rows are numbered and only become more: up to which number they were read, how many of the rows are ours now,
-- and which of the last numbers were not there (a list with commas): rows may be committed in another order than numbered.
CREATE TABLE IF NOT EXISTS import_progress (
  name {{name}} NOT NULL PRIMARY KEY,
  last_key {{bigint}} NOT NULL,
  written {{bigint}} NOT NULL,
  gaps {{long_text}} NOT NULL,
  updated_at {{time}} NOT NULL
) {{clustered}};

-- Rows of the other tables. The digest is the SHA-256 of what a row said there, so that another run knows which rows changed
-- meanwhile, and leaves alone what was changed or deleted here.
CREATE TABLE IF NOT EXISTS import_rows (
  name {{name}} NOT NULL,
  row_key {{text:64}} NOT NULL,
  digest {{hash}} NOT NULL,
  PRIMARY KEY (name, row_key)
) {{clustered}};
