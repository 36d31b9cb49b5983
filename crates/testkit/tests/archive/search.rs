//! Words, while they are being indexed.

use waxwing_store::domains::archive::{Archive, Entry};

use crate::{Outcome, ask, bound, chat, on_every_engine, set, world};

/// A long archive is indexed piece by piece, from the youngest message on.
#[tokio::test]
async fn what_is_not_indexed_yet_is_not_passed_off_as_everything() -> Outcome {
    const LONG: i64 = 2600;
    on_every_engine(|plan| async {
        let world = world(plan).await?;
        let entry = |number: i64| Entry {
            number,
            owner: "romeo@localhost".into(),
            peer: "juliet@localhost".into(),
            resource: String::new(),
            stanza: format!(
                "<message xmlns='jabber:client' from='juliet@localhost' type='chat'>\
                 <body>line{number} verona</body></message>"
            ),
        };
        let rows = (1..=LONG).map(|number| Archive::append(entry(number))).collect();
        world.hub().db().batch(rows).await.map_err(|error| error.to_string())?;
        let mut romeo = bound(&world, "romeo").await?;
        let words = |words| [("{urn:xmpp:fulltext:0}fulltext", words)];
        let last = set("<max>2</max><before/>");
        let answer = ask(&mut romeo, &words("Verona line"), &last).await?;
        assert_eq!(answer.bodies(), ["line2599 verona", "line2600 verona"]);
        assert!(!answer.is_stable);
        let mut oldest = ask(&mut romeo, &words("line1"), "").await?;
        while !oldest.is_stable {
            world.settle().await?;
            oldest = ask(&mut romeo, &words("line1"), "").await?;
        }
        assert_eq!(oldest.bodies()[0], "line1 verona");
        let none = ask(&mut romeo, &words("..."), "").await?;
        assert!(none.messages.is_empty() && none.is_complete);
        let many = ask(&mut romeo, &words("a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q"), "").await?;
        assert_eq!(many.refused.as_deref(), Some("bad-request"));
        // What comes later is found as well.
        let mut juliet = bound(&world, "juliet").await?;
        juliet.send(&chat("romeo@localhost", "fair-Verona")).await?;
        world.settle().await?;
        let fresh = ask(&mut romeo, &words("fair"), "").await?;
        assert_eq!(fresh.bodies(), ["fair-Verona"]);
        assert!(fresh.is_stable && fresh.is_complete);
        Ok(())
    })
    .await
}
