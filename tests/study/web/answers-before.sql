BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE participants (
	id VARCHAR(24) NOT NULL,
	key_hash VARCHAR(64) NOT NULL,
	synthetic BOOLEAN NOT NULL,
	slot INTEGER NOT NULL,
	claim INTEGER,
	language VARCHAR(16) NOT NULL,
	consent_version VARCHAR(64) NOT NULL,
	started_at VARCHAR(32) NOT NULL,
	seen_at VARCHAR(32) NOT NULL,
	finished_at VARCHAR(32),
	viewport_width INTEGER,
	viewport_height INTEGER,
	platform JSON NOT NULL,
	PRIMARY KEY (id),
	CONSTRAINT one_participant_a_slot UNIQUE (synthetic, claim),
	UNIQUE (key_hash)
);
INSERT INTO "participants" VALUES('f4592232d8cf6074','ceaf126df1b6de49cf2b61b9457afbbe2f616f662f1a80d4990c613a7513ad1d',0,0,0,'de','1','2026-01-01T00:00:00+00:00','2026-01-01T00:00:00+00:00',NULL,NULL,NULL,'{}');
CREATE TABLE settings (
	name VARCHAR(40) NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (name)
);
INSERT INTO "settings" VALUES('secret','5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e');
CREATE TABLE steps (
	participant VARCHAR(24) NOT NULL,
	number INTEGER NOT NULL,
	name VARCHAR(64) NOT NULL,
	answers JSON NOT NULL,
	seconds FLOAT,
	answered_at VARCHAR(32) NOT NULL,
	PRIMARY KEY (participant, number),
	CONSTRAINT one_answer_a_step UNIQUE (participant, name),
	FOREIGN KEY(participant) REFERENCES participants (id) ON DELETE CASCADE
);
INSERT INTO "steps" VALUES('f4592232d8cf6074',0,'expertise','{"a": "none"}',3.5,'2026-01-01T00:00:00+00:00');
COMMIT;
