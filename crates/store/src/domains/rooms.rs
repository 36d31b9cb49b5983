//! Rooms: their configuration, who stands how in them, and what else they keep. What is said in
//! them is in the archive under the address of the room.
//!
//! A room is read when somebody comes to it, and never before.

mod listing;

use crate::domains::archive::Archive;
use crate::{Db, Row, Statement, StoreError, Table};

/// The rooms. Changes are statements, so that several can share a batch.
#[derive(Clone, Debug)]
pub struct Rooms {
    db: Db,
}

/// What is kept of a room itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomRow {
    /// Its address.
    pub room: String,
    /// The address of the service it belongs to.
    pub service: String,
    /// Its name for people, a copy of what is in `config`.
    pub name: String,
    /// Whether it may be listed, likewise.
    pub is_public: bool,
    /// Whether it stays when nobody is in it, likewise.
    pub is_persistent: bool,
    /// The run of the server in which it was written: a room that does not persist ends with it.
    pub run: i64,
    /// Its configuration as text.
    pub config: String,
    /// What is being talked about; `None` before anybody has said.
    pub subject: Option<String>,
    /// The nick of whoever said so.
    pub subject_by: String,
    /// When, in Unix milliseconds.
    pub subject_at: i64,
    /// What keeps its pseudonyms apart from those of other rooms.
    pub salt: String,
    /// How often the list of affiliations was changed.
    pub version: i64,
    /// When it was made, in Unix milliseconds.
    pub made: i64,
    /// The bare address of whoever made it.
    pub maker: String,
}

/// How somebody stands in a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StandingRow {
    /// The bare address, or a domain.
    pub jid: String,
    /// The number of the affiliation.
    pub affiliation: i64,
    /// The nick that nobody else may use.
    pub nick: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Who said so.
    pub maker: Option<String>,
    /// When, in Unix milliseconds.
    pub at: i64,
    /// The version of the list that brought it.
    pub version: i64,
}

/// Something else that a room keeps: one value of one kind under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoteRow {
    /// What it is about.
    pub kind: String,
    /// Which of those it is; empty where there is one only.
    pub key: String,
    /// What it says.
    pub value: String,
}

/// A room with all that belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The room itself.
    pub room: RoomRow,
    /// Everybody's standing, ordered by address.
    pub standings: Vec<StandingRow>,
    /// What else it keeps, ordered by kind and key.
    pub notes: Vec<NoteRow>,
}

const ROOM: Table = Table {
    name: "room",
    owner: None,
    steps: &["CREATE TABLE room (room {text} PRIMARY KEY, service {text} NOT NULL, \
                name {text} NOT NULL, is_public {int} NOT NULL, is_persistent {int} NOT NULL, \
                run {int} NOT NULL, config {text} NOT NULL, subject {text}, \
                subject_by {text} NOT NULL, subject_at {instant} NOT NULL, salt {text} NOT NULL, \
                version {int} NOT NULL, made {instant} NOT NULL, maker {text} NOT NULL); \
              CREATE INDEX room_service ON room (service, is_public, room); \
              CREATE INDEX room_run ON room (is_persistent, run)"],
};

const STANDING: Table = Table {
    name: "room_standing",
    owner: Some("jid"),
    steps: &["CREATE TABLE room_standing (room {text} NOT NULL, jid {text} NOT NULL, \
                affiliation {int} NOT NULL, nick {text}, reason {text}, maker {text}, \
                at {instant} NOT NULL, version {int} NOT NULL, PRIMARY KEY (room, jid)); \
              CREATE INDEX room_standing_jid ON room_standing (jid, affiliation); \
              CREATE INDEX room_standing_gone ON room_standing (at) WHERE affiliation = 0"],
};

const NOTE: Table = Table {
    name: "room_note",
    owner: None,
    steps: &["CREATE TABLE room_note (room {text} NOT NULL, kind {text} NOT NULL, \
                key {text} NOT NULL, value {text} NOT NULL, PRIMARY KEY (room, kind, key)); \
              CREATE INDEX room_note_key ON room_note (kind, key)"],
};

/// The card with the picture, which is read when somebody asks for it.
const CARD: Table = Table {
    name: "room_card",
    owner: None,
    steps: &["CREATE TABLE room_card (room {text} PRIMARY KEY, card {text} NOT NULL)"],
};

const LOAD: &str = "SELECT room, service, name, is_public, is_persistent, run, config, subject, \
     subject_by, subject_at, salt, version, made, maker FROM room WHERE room = ?1";
const STANDINGS: &str = "SELECT jid, affiliation, nick, reason, maker, at, version \
     FROM room_standing WHERE room = ?1 ORDER BY jid";
const NOTES: &str = "SELECT kind, key, value FROM room_note WHERE room = ?1 ORDER BY kind, key";
const PUT: &str = "INSERT INTO room (room, service, name, is_public, is_persistent, run, config, \
     subject, subject_by, subject_at, salt, version, made, maker) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
     ON CONFLICT (room) DO UPDATE SET service = excluded.service, name = excluded.name, \
     is_public = excluded.is_public, is_persistent = excluded.is_persistent, run = excluded.run, \
     config = excluded.config, subject = excluded.subject, subject_by = excluded.subject_by, \
     subject_at = excluded.subject_at, salt = excluded.salt, version = excluded.version, \
     made = excluded.made, maker = excluded.maker";
const PUT_STANDING: &str = "INSERT INTO room_standing \
     (room, jid, affiliation, nick, reason, maker, at, version) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (room, jid) DO UPDATE SET \
     affiliation = excluded.affiliation, nick = excluded.nick, reason = excluded.reason, \
     maker = excluded.maker, at = excluded.at, version = excluded.version";
const DROP_STANDING: &str = "DELETE FROM room_standing WHERE room = ?1 AND jid = ?2";
const PUT_NOTE: &str = "INSERT INTO room_note (room, kind, key, value) VALUES (?1, ?2, ?3, ?4) \
     ON CONFLICT (room, kind, key) DO UPDATE SET value = excluded.value";
const DROP_NOTE: &str = "DELETE FROM room_note WHERE room = ?1 AND kind = ?2 AND key = ?3";
const FORGET_NOTES: &str = "DELETE FROM room_note WHERE kind = ?1 AND key = ?2";
/// Those who stand in no way any more, and how far back they are known then.
const NOTE_STRANGERS: &str = "INSERT INTO room_note (room, kind, key, value) \
     SELECT room, 'horizon', '', CAST(MAX(version) AS TEXT) FROM room_standing \
     WHERE affiliation = 0 AND nick IS NULL AND at < ?1 GROUP BY room \
     ON CONFLICT (room, kind, key) DO UPDATE SET value = excluded.value";
const DROP_STRANGERS: &str =
    "DELETE FROM room_standing WHERE affiliation = 0 AND nick IS NULL AND at < ?1";
const GET_CARD: &str = "SELECT card FROM room_card WHERE room = ?1";
const PUT_CARD: &str = "INSERT INTO room_card (room, card) VALUES (?1, ?2) \
     ON CONFLICT (room) DO UPDATE SET card = excluded.card";
const DROP_CARD: &str = "DELETE FROM room_card WHERE room = ?1";
const DESTROY: &str = "DELETE FROM room WHERE room = ?1";
const DESTROY_STANDINGS: &str = "DELETE FROM room_standing WHERE room = ?1";
const DESTROY_NOTES: &str = "DELETE FROM room_note WHERE room = ?1";

impl Rooms {
    /// The tables to migrate.
    pub const TABLES: &'static [&'static Table] = &[&ROOM, &STANDING, &NOTE, &CARD];

    /// Every statement used here, so that both engines can be asked whether they understand it.
    pub const STATEMENTS: &'static [&'static str] = &[
        LOAD,
        STANDINGS,
        NOTES,
        PUT,
        PUT_STANDING,
        DROP_STANDING,
        PUT_NOTE,
        DROP_NOTE,
        FORGET_NOTES,
        NOTE_STRANGERS,
        DROP_STRANGERS,
        GET_CARD,
        PUT_CARD,
        DROP_CARD,
        DESTROY,
        DESTROY_STANDINGS,
        DESTROY_NOTES,
    ];

    /// Those of lists likewise.
    pub const LISTS: &'static [&'static str] = listing::STATEMENTS;

    /// The rooms in `db`.
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// The room at this address with all that belongs to it; `None` when there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn load(&self, room: &str) -> Result<Option<Stored>, StoreError> {
        let ask = [LOAD, STANDINGS, NOTES].map(|sql| Statement::new(sql).with(room));
        let found = self.db.query_all(ask.to_vec()).await?;
        let [rooms, standings, notes] = found.as_slice() else { return Ok(None) };
        let Some(row) = rooms.first() else { return Ok(None) };
        Ok(Some(Stored {
            room: read_room(row)?,
            standings: standings.iter().map(read_standing).collect::<Result<_, _>>()?,
            notes: notes.iter().map(read_note).collect::<Result<_, _>>()?,
        }))
    }

    /// Makes a room, or replaces what is kept of it.
    pub fn put(row: &RoomRow) -> Statement {
        Statement::new(PUT)
            .with(row.room.as_str())
            .with(row.service.as_str())
            .with(row.name.as_str())
            .with(row.is_public)
            .with(row.is_persistent)
            .with(row.run)
            .with(row.config.as_str())
            .with(row.subject.as_deref())
            .with(row.subject_by.as_str())
            .with(row.subject_at)
            .with(row.salt.as_str())
            .with(row.version)
            .with(row.made)
            .with(row.maker.as_str())
    }

    /// Says how somebody stands in a room.
    pub fn put_standing(room: &str, row: &StandingRow) -> Statement {
        Statement::new(PUT_STANDING)
            .with(room)
            .with(row.jid.as_str())
            .with(row.affiliation)
            .with(row.nick.as_deref())
            .with(row.reason.as_deref())
            .with(row.maker.as_deref())
            .with(row.at)
            .with(row.version)
    }

    /// Somebody stands in no way in a room any more.
    pub fn drop_standing(room: &str, jid: &str) -> Statement {
        Statement::new(DROP_STANDING).with(room).with(jid)
    }

    /// Keeps something, in place of what was there.
    pub fn put_note(room: &str, note: &NoteRow) -> Statement {
        let NoteRow { kind, key, value } = note;
        let put = Statement::new(PUT_NOTE).with(room).with(kind.as_str());
        put.with(key.as_str()).with(value.as_str())
    }

    /// Keeps it no more.
    pub fn drop_note(room: &str, kind: &str, key: &str) -> Statement {
        Statement::new(DROP_NOTE).with(room).with(kind).with(key)
    }

    /// Keeps what has this kind and key in no room any more.
    pub fn forget_notes(kind: &str, key: &str) -> Statement {
        Statement::new(FORGET_NOTES).with(kind).with(key)
    }

    /// Forgets those who have stood in no way in a room since `before`, in Unix milliseconds, and
    /// notes in the rooms up to which version (the note `horizon`).
    pub fn forget_strangers(before: i64) -> [Statement; 2] {
        [NOTE_STRANGERS, DROP_STRANGERS].map(|sql| Statement::new(sql).with(before))
    }

    /// The card of a room (XEP-0486), if it has one.
    ///
    /// # Errors
    /// The store's.
    pub async fn card(&self, room: &str) -> Result<Option<String>, StoreError> {
        let row = self.db.query_one(Statement::new(GET_CARD).with(room)).await?;
        row.map(|row| row.text(0).map(str::to_owned)).transpose()
    }

    /// Keeps the card of a room.
    pub fn put_card(room: &str, card: &str) -> Statement {
        Statement::new(PUT_CARD).with(room).with(card)
    }

    /// Keeps it no more.
    pub fn drop_card(room: &str) -> Statement {
        Statement::new(DROP_CARD).with(room)
    }

    /// Removes a room with all that belongs to it, its archive included.
    pub fn destroy(room: &str) -> Vec<Statement> {
        let rows = [DESTROY, DESTROY_STANDINGS, DESTROY_NOTES, DROP_CARD];
        let rows = rows.into_iter().map(|sql| Statement::new(sql).with(room));
        rows.chain([Archive::expire(room, i64::MAX)]).collect()
    }
}

fn read_room(row: &Row) -> Result<RoomRow, StoreError> {
    Ok(RoomRow {
        room: row.text(0)?.to_owned(),
        service: row.text(1)?.to_owned(),
        name: row.text(2)?.to_owned(),
        is_public: row.flag(3)?,
        is_persistent: row.flag(4)?,
        run: row.int(5)?,
        config: row.text(6)?.to_owned(),
        subject: row.text_or_null(7)?.map(str::to_owned),
        subject_by: row.text(8)?.to_owned(),
        subject_at: row.int(9)?,
        salt: row.text(10)?.to_owned(),
        version: row.int(11)?,
        made: row.int(12)?,
        maker: row.text(13)?.to_owned(),
    })
}

fn read_standing(row: &Row) -> Result<StandingRow, StoreError> {
    Ok(StandingRow {
        jid: row.text(0)?.to_owned(),
        affiliation: row.int(1)?,
        nick: row.text_or_null(2)?.map(str::to_owned),
        reason: row.text_or_null(3)?.map(str::to_owned),
        maker: row.text_or_null(4)?.map(str::to_owned),
        at: row.int(5)?,
        version: row.int(6)?,
    })
}

fn read_note(row: &Row) -> Result<NoteRow, StoreError> {
    Ok(NoteRow {
        kind: row.text(0)?.to_owned(),
        key: row.text(1)?.to_owned(),
        value: row.text(2)?.to_owned(),
    })
}
