//! Rooms.

use waxwing_store::domains::archive::{Archive, Entry};
use waxwing_store::domains::rooms::{NoteRow, RoomRow, Rooms, StandingRow, Stored};
use waxwing_store::{Db, domains};

use crate::ground::grounds;

const SERVICE: &str = "rooms.example.org";

fn room(local: &str) -> RoomRow {
    RoomRow {
        room: format!("{local}@{SERVICE}"),
        service: SERVICE.to_owned(),
        name: local.to_uppercase(),
        is_public: true,
        is_persistent: true,
        run: 5,
        config: "{}".to_owned(),
        subject: Some("<subject/>".to_owned()),
        subject_by: "Romeo".to_owned(),
        subject_at: 7,
        salt: "salt".to_owned(),
        version: 3,
        made: 9,
        maker: "romeo@example.org".to_owned(),
    }
}

fn standing(jid: &str, affiliation: i64) -> StandingRow {
    let nick = (affiliation > 0).then(|| "Nick".to_owned());
    StandingRow { jid: jid.to_owned(), affiliation, nick, at: 4, version: 3, ..<_>::default() }
}

async fn put(db: &Db, rooms: &[RoomRow]) {
    db.batch(rooms.iter().map(Rooms::put).collect()).await.unwrap();
}

#[tokio::test]
async fn a_room_comes_back_as_it_was_put() {
    for ground in grounds() {
        let db = ground.open_with(&domains::tables()).await;
        let rooms = Rooms::new(db.clone());
        let garden = room("garden");
        let at = garden.room.as_str();
        assert_eq!(rooms.load(at).await.unwrap(), None);
        let (romeo, tybalt) = (standing("a@example.org", 3), standing("b@example.org", -1));
        let note = |value: &str| NoteRow {
            kind: "hat".to_owned(),
            key: "a@example.org".to_owned(),
            value: value.to_owned(),
        };
        let rows = vec![
            Rooms::put(&garden),
            Rooms::put_standing(at, &tybalt),
            Rooms::put_standing(at, &romeo),
            Rooms::put_note(at, &note("old")),
            Rooms::put_note(at, &note("new")),
        ];
        db.batch(rows).await.unwrap();
        let stored = Stored {
            room: garden.clone(),
            standings: vec![romeo.clone(), tybalt],
            notes: vec![note("new")],
        };
        assert_eq!(rooms.load(at).await.unwrap(), Some(stored));
        let fewer = RoomRow { subject: None, is_public: false, ..garden.clone() };
        let rows = vec![
            Rooms::put(&fewer),
            Rooms::drop_standing(at, "b@example.org"),
            Rooms::drop_note(at, "hat", "a@example.org"),
        ];
        db.batch(rows).await.unwrap();
        let stored = Stored { room: fewer, standings: vec![romeo], notes: vec![] };
        assert_eq!(rooms.load(at).await.unwrap(), Some(stored));
    }
}

#[tokio::test]
async fn who_stands_in_no_way_any_more_is_forgotten_after_a_while() {
    for ground in grounds() {
        let db = ground.open_with(&domains::tables()).await;
        let rooms = Rooms::new(db.clone());
        let garden = room("garden");
        let at = garden.room.as_str();
        let stood = |jid, affiliation, at, version| StandingRow {
            at,
            version,
            nick: None,
            ..standing(jid, affiliation)
        };
        let all = [
            stood("a@example.org", 0, 10, 5),
            stood("b@example.org", 0, 100, 9),
            stood("c@example.org", 1, 10, 6),
        ];
        put(&db, std::slice::from_ref(&garden)).await;
        let worn = NoteRow { kind: "worn".into(), key: "a@example.org".into(), value: "x".into() };
        let mut rows: Vec<_> = all.iter().map(|row| Rooms::put_standing(at, row)).collect();
        rows.push(Rooms::put_note(at, &worn));
        db.batch(rows).await.unwrap();
        db.batch(Rooms::forget_strangers(50).into()).await.unwrap();
        let horizon = NoteRow { kind: "horizon".into(), key: String::new(), value: "5".into() };
        let stored = rooms.load(at).await.unwrap().unwrap();
        assert_eq!(stored.standings, all[1..]);
        assert_eq!(stored.notes, [horizon.clone(), worn]);
        db.batch(vec![Rooms::forget_notes("worn", "a@example.org")]).await.unwrap();
        assert_eq!(rooms.load(at).await.unwrap().unwrap().notes, [horizon]);
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_room_that_was_destroyed() {
    for ground in grounds() {
        let db = ground.open_with(&domains::tables()).await;
        let (rooms, archive) = (Rooms::new(db.clone()), Archive::new(db.clone()));
        let (garden, attic) = (room("garden"), room("attic"));
        let entry = |number, owner: &RoomRow| {
            Archive::append(Entry {
                number,
                owner: owner.room.clone(),
                peer: "romeo@example.org".to_owned(),
                resource: String::new(),
                stanza: "<message/>".to_owned(),
            })
        };
        put(&db, &[garden.clone(), attic.clone()]).await;
        let rows = vec![
            Rooms::put_standing(&garden.room, &standing("a@example.org", 3)),
            entry(1, &garden),
            entry(2, &attic),
        ];
        db.batch(rows).await.unwrap();
        db.batch(Rooms::destroy(&garden.room)).await.unwrap();
        assert_eq!(rooms.load(&garden.room).await.unwrap(), None);
        assert_eq!(rooms.count(SERVICE, "a@example.org", 3).await.unwrap(), (1, 0));
        assert!(!archive.has(&garden.room, 1).await.unwrap());
        assert!(archive.has(&attic.room, 2).await.unwrap());
    }
}

#[tokio::test]
async fn public_rooms_are_listed_a_page_at_a_time() {
    for ground in grounds() {
        let db = ground.open_with(&domains::tables()).await;
        let rooms = Rooms::new(db.clone());
        let hidden = RoomRow { is_public: false, ..room("b") };
        let elsewhere = RoomRow { service: "rooms.example.net".to_owned(), ..room("x") };
        put(&db, &[room("a"), hidden, room("c"), room("d"), elsewhere]).await;
        let names = |page: Vec<RoomRow>| page.into_iter().map(|row| row.name).collect::<Vec<_>>();
        let (a, d) = (room("a").room, room("d").room);
        assert_eq!(names(rooms.page(SERVICE, "", 2).await.unwrap()), ["A", "C"]);
        assert_eq!(names(rooms.page(SERVICE, &a, 9).await.unwrap()), ["C", "D"]);
        assert_eq!(names(rooms.page_before(SERVICE, None, 2).await.unwrap()), ["C", "D"]);
        assert_eq!(names(rooms.page_before(SERVICE, Some(&d), 1).await.unwrap()), ["C"]);
        assert_eq!(rooms.count_public(SERVICE, &d).await.unwrap(), (3, 2));
        assert_eq!(rooms.all(SERVICE, "", 9).await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn rooms_that_did_not_stay_are_found_after_their_run() {
    for ground in grounds() {
        let db = ground.open_with(&domains::tables()).await;
        let rooms = Rooms::new(db.clone());
        let brief = |local: &str, run| RoomRow { is_persistent: false, run, ..room(local) };
        // Each host counts its own runs.
        let other = RoomRow { service: "rooms.verona.example".into(), ..brief("other", 1) };
        let stays = RoomRow { run: 1, ..room("stays") };
        put(&db, &[brief("old", 1), brief("new", 5), other, stays]).await;
        assert_eq!(rooms.left_over(SERVICE, 5, 9).await.unwrap(), [brief("old", 1).room]);
    }
}
