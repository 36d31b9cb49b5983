//! Random batches against a map that does the same: whatever is folded together, each batch takes
//! effect whole or not at all, in order.

use std::collections::BTreeMap;

use waxwing_store::Statement;

use crate::batches::NOTE;
use crate::ground::grounds;

const KEYS: u64 = 24;
const BURSTS: u64 = 30;

/// What the table holds: id to body.
type Notes = BTreeMap<i64, String>;

#[derive(Clone, Copy, Debug)]
enum Step {
    Insert(i64),
    Upsert(i64, u64),
    Delete(i64),
    /// Fails when there is nothing to delete.
    Take(i64),
    Nonsense,
}

impl Step {
    fn random(dice: &mut Dice) -> Self {
        let id = i64::try_from(dice.roll(KEYS)).unwrap();
        match dice.roll(20) {
            0..6 => Self::Insert(id),
            6..12 => Self::Upsert(id, dice.roll(1_000)),
            12..15 => Self::Delete(id),
            15..19 => Self::Take(id),
            _ => Self::Nonsense,
        }
    }

    fn statement(self) -> Statement {
        let insert = "INSERT INTO note (id, owner, body) VALUES (?1, 'o', ?2)";
        let upsert = "INSERT INTO note (id, owner, body) VALUES (?1, 'o', ?2) \
             ON CONFLICT (id) DO UPDATE SET body = excluded.body";
        let delete = "DELETE FROM note WHERE id = ?1";
        match self {
            Self::Insert(id) => Statement::new(insert).with(id).with("new"),
            Self::Upsert(id, body) => Statement::new(upsert).with(id).with(body.to_string()),
            Self::Delete(id) => Statement::new(delete).with(id),
            Self::Take(id) => Statement::new(delete).with(id).must_change(1),
            Self::Nonsense => Statement::new("DELETE FROM nowhere"),
        }
    }

    /// Does to `notes` what the statement does to the table; `None` when it must fail.
    fn apply(self, notes: &mut Notes) -> Option<()> {
        match self {
            Self::Insert(id) => notes.insert(id, "new".to_owned()).is_none().then_some(()),
            Self::Upsert(id, body) => {
                notes.insert(id, body.to_string());
                Some(())
            }
            Self::Delete(id) => {
                notes.remove(&id);
                Some(())
            }
            Self::Take(id) => notes.remove(&id).map(drop),
            Self::Nonsense => None,
        }
    }
}

/// A generator by George Marsaglia (xorshift64), so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[tokio::test]
async fn batches_do_what_a_map_would_do() {
    for ground in grounds() {
        let db = ground.open_with(&[&NOTE]).await;
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
        let mut notes = Notes::new();
        for burst in 0..BURSTS {
            let mut waiting = Vec::new();
            for _ in 0..1 + dice.roll(30) {
                let steps: Vec<_> =
                    (0..1 + dice.roll(3)).map(|_| Step::random(&mut dice)).collect();
                let mut changed = notes.clone();
                let fits = steps.iter().all(|step| step.apply(&mut changed).is_some());
                if fits {
                    notes = changed;
                }
                let batch = steps.iter().map(|step| step.statement()).collect();
                waiting.push((steps, fits, db.submit(batch)));
            }
            for (steps, fits, commit) in waiting {
                let outcome = commit.await;
                assert_eq!(outcome.is_ok(), fits, "{}: {steps:?}: {outcome:?}", ground.name);
            }
            let rows = db.query(Statement::new("SELECT id, body FROM note")).await.unwrap();
            let read =
                |row: &waxwing_store::Row| (row.int(0).unwrap(), row.text(1).unwrap().to_owned());
            assert_eq!(rows.iter().map(read).collect::<Notes>(), notes, "{burst}");
        }
    }
}
