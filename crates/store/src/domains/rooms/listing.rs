//! Which rooms there are, and how many.

use super::{LOAD, RoomRow, Rooms, read_room};
use crate::{Row, Statement, StoreError};

const PAGE: &str = "SELECT room, service, name, is_public, is_persistent, run, config, subject, \
     subject_by, subject_at, salt, version, made, maker FROM room \
     WHERE service = ?1 AND is_public = 1 AND room > ?2 ORDER BY room LIMIT ?3";
const PAGE_BACK: &str = "SELECT room, service, name, is_public, is_persistent, run, config, \
     subject, subject_by, subject_at, salt, version, made, maker FROM room \
     WHERE service = ?1 AND is_public = 1 AND room < ?2 ORDER BY room DESC LIMIT ?3";
const PAGE_LAST: &str = "SELECT room, service, name, is_public, is_persistent, run, config, \
     subject, subject_by, subject_at, salt, version, made, maker FROM room \
     WHERE service = ?1 AND is_public = 1 ORDER BY room DESC LIMIT ?2";
const COUNT_PUBLIC: &str = "SELECT COUNT(*) FROM room WHERE service = ?1 AND is_public = 1";
const BEFORE: &str = "SELECT COUNT(*) FROM room WHERE service = ?1 AND is_public = 1 AND room < ?2";
const COUNT: &str = "SELECT COUNT(*) FROM room WHERE service = ?1";
const ALL: &str = "SELECT room, service, name, is_public, is_persistent, run, config, subject, \
     subject_by, subject_at, salt, version, made, maker FROM room \
     WHERE service = ?1 AND room > ?2 ORDER BY room LIMIT ?3";
const HELD: &str = "SELECT COUNT(*) FROM room_standing WHERE jid = ?1 AND affiliation = ?2";
const LEFT_OVER: &str = "SELECT room FROM room \
     WHERE is_persistent = 0 AND run < ?1 AND service = ?2 ORDER BY run LIMIT ?3";

pub(super) const STATEMENTS: &[&str] =
    &[PAGE, PAGE_BACK, PAGE_LAST, COUNT_PUBLIC, BEFORE, COUNT, ALL, HELD, LEFT_OVER];

impl Rooms {
    /// The room at this address alone, if it is public.
    ///
    /// # Errors
    /// The store's.
    pub async fn public(&self, room: &str) -> Result<Option<RoomRow>, StoreError> {
        let row = self.db.query_one(Statement::new(LOAD).with(room)).await?;
        let row = row.as_ref().map(read_room).transpose()?;
        Ok(row.filter(|row| row.is_public))
    }

    /// The first `limit` public rooms of a service behind the address `after`, in order.
    ///
    /// # Errors
    /// The store's.
    pub async fn page(
        &self,
        service: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<RoomRow>, StoreError> {
        let page = Statement::new(PAGE).with(service).with(after).with(limit);
        self.db.query(page).await?.iter().map(read_room).collect()
    }

    /// The last `limit` of them before the address `before`, or of all, in order.
    ///
    /// # Errors
    /// The store's.
    pub async fn page_before(
        &self,
        service: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<RoomRow>, StoreError> {
        let page = match before {
            Some(before) => Statement::new(PAGE_BACK).with(service).with(before).with(limit),
            None => Statement::new(PAGE_LAST).with(service).with(limit),
        };
        let rows = self.db.query(page).await?;
        rows.iter().rev().map(read_room).collect()
    }

    /// How many public rooms a service has: all, and those before the address `first`.
    ///
    /// # Errors
    /// The store's.
    pub async fn count_public(&self, service: &str, first: &str) -> Result<(u64, u64), StoreError> {
        let all = Statement::new(COUNT_PUBLIC).with(service);
        let before = Statement::new(BEFORE).with(service).with(first);
        let found = self.db.query_all(vec![all, before]).await?;
        let mut counts = found.iter().map(|rows| count(rows.first()));
        let (all, before) = (counts.next().transpose()?, counts.next().transpose()?);
        Ok((all.unwrap_or(0), before.unwrap_or(0)))
    }

    /// How many rooms a service has, and in how many of all rooms `jid` has the affiliation of this
    /// number.
    ///
    /// # Errors
    /// The store's.
    pub async fn count(
        &self,
        service: &str,
        jid: &str,
        affiliation: i64,
    ) -> Result<(u64, u64), StoreError> {
        let all = Statement::new(COUNT).with(service);
        let held = Statement::new(HELD).with(jid).with(affiliation);
        let found = self.db.query_all(vec![all, held]).await?;
        let mut counts = found.iter().map(|rows| count(rows.first()));
        let (all, held) = (counts.next().transpose()?, counts.next().transpose()?);
        Ok((all.unwrap_or(0), held.unwrap_or(0)))
    }

    /// The first `limit` rooms of a service behind `after`, hidden ones included, for operators.
    ///
    /// # Errors
    /// The store's.
    pub async fn all(
        &self,
        service: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<RoomRow>, StoreError> {
        let all = Statement::new(ALL).with(service).with(after).with(limit);
        self.db.query(all).await?.iter().map(read_room).collect()
    }

    /// Rooms of a service that ended with a run of it before `run`, at most `limit`.
    ///
    /// # Errors
    /// The store's.
    pub async fn left_over(
        &self,
        service: &str,
        run: i64,
        limit: u32,
    ) -> Result<Vec<String>, StoreError> {
        let left_over = Statement::new(LEFT_OVER).with(run).with(service).with(limit);
        let rows = self.db.query(left_over).await?;
        rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
    }
}

fn count(row: Option<&Row>) -> Result<u64, StoreError> {
    row.map_or(Ok(0), |row| row.int(0)).map(i64::unsigned_abs)
}
