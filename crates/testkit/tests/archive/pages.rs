//! Pages, in both directions, and what bounds them.

use waxwing_modules::MODULES;
use waxwing_testkit::Plan;
use waxwing_testkit::client::Client;

use crate::{Outcome, ask, bound, chat, filled, heard, on_every_engine, online, set, world};

#[tokio::test]
async fn pages_lead_through_the_archive_in_both_directions() -> Outcome {
    on_every_engine(|plan| async {
        let (_world, mut romeo, ids) = Box::pin(filled(plan, 25)).await?;
        let mut seen: Vec<String> = Vec::new();
        loop {
            let after = seen.last().map(|id| format!("<after>{id}</after>")).unwrap_or_default();
            let page = ask(&mut romeo, &[], &set(&format!("<max>10</max>{after}"))).await?;
            assert_eq!(page.first.as_deref(), page.ids().first().copied());
            assert_eq!(page.last.as_deref(), page.ids().last().copied());
            seen.extend(page.ids().into_iter().map(str::to_owned));
            if page.is_complete {
                break;
            }
            assert_eq!(page.messages.len(), 10);
        }
        assert_eq!(seen, ids);
        let mut pages: Vec<Vec<String>> = Vec::new();
        loop {
            let before = pages.last().map(|page| page[0].clone()).unwrap_or_default();
            let more = set(&format!("<max>10</max><before>{before}</before>"));
            let page = ask(&mut romeo, &[], &more).await?;
            pages.push(page.ids().into_iter().map(str::to_owned).collect());
            if page.is_complete {
                break;
            }
        }
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
        pages.reverse();
        assert_eq!(pages.concat(), ids);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_flipped_page_has_the_same_messages_the_other_way_round() -> Outcome {
    on_every_engine(|plan| async {
        let (_world, mut romeo, ids) = Box::pin(filled(plan, 5)).await?;
        for (paging, page) in [("<before/>", &ids[2..]), ("", &ids[..3])] {
            let more = set(&format!("<max>3</max>{paging}")) + "<flip-page/>";
            let flipped = ask(&mut romeo, &[], &more).await?;
            let mut backwards: Vec<_> = page.iter().map(String::as_str).collect();
            // "flipping a page does not affect what results are returned".
            assert_eq!(flipped.first.as_deref(), backwards.first().copied());
            assert_eq!(flipped.last.as_deref(), backwards.last().copied());
            backwards.reverse();
            assert_eq!(flipped.ids(), backwards);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn spans_of_time_hold_their_ends() -> Outcome {
    on_every_engine(|plan| async {
        let (_world, mut romeo, _) = Box::pin(filled(plan, 5)).await?;
        for (fields, found) in [
            (vec![("start", "2026-01-31T12:00:02Z")], vec!["m2", "m3", "m4"]),
            (vec![("start", "2026-01-31T12:00:02.001Z")], vec!["m3", "m4"]),
            (vec![("end", "2026-01-31T13:00:01+01:00")], vec!["m0", "m1"]),
            (
                vec![("start", "2026-01-31T12:00:01Z"), ("end", "2026-01-31T12:00:03.999Z")],
                vec!["m1", "m2", "m3"],
            ),
            (vec![("start", "2027-01-31T12:00:00Z")], vec![]),
            (vec![("end", "1969-01-31T12:00:00Z")], vec![]),
        ] {
            let answer = ask(&mut romeo, &fields, "").await?;
            assert_eq!(answer.bodies(), found, "{fields:?}");
            assert!(answer.is_complete);
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_conversation_is_what_was_said_to_and_by_somebody() -> Outcome {
    on_every_engine(|plan| async {
        let world = world(plan).await?;
        let mut romeo = online(&world, "romeo").await?;
        let mut juliet = bound(&world, "juliet/balcony").await?;
        let mut nurse = bound(&world, "nurse").await?;
        for number in 0..3 {
            juliet.send(&chat("romeo@localhost", &format!("j{number}"))).await?;
            world.settle().await?;
            nurse.send(&chat("romeo@localhost/desk", &format!("n{number}"))).await?;
            world.settle().await?;
            romeo.send(&chat("juliet@localhost", &format!("r{number}"))).await?;
            world.settle().await?;
        }
        heard(&world, &mut romeo).await?;
        let with = async |romeo: &mut Client, jid| {
            let answer = ask(romeo, &[("with", jid)], "").await?;
            Ok::<_, String>(answer.bodies().join(" "))
        };
        let whole = "j0 r0 j1 r1 j2 r2";
        assert_eq!(with(&mut romeo, "Juliet@localhost").await?, whole);
        assert_eq!(with(&mut romeo, "juliet@localhost/balcony").await?, "j0 j1 j2");
        assert_eq!(with(&mut romeo, "nurse@localhost").await?, "n0 n1 n2");
        assert_eq!(with(&mut romeo, "tybalt@localhost").await?, "");
        let last = set("<max>1</max><before/>");
        let answer = ask(&mut romeo, &[("with", "nurse@localhost")], &last).await?;
        assert_eq!(answer.bodies(), ["n2"]);
        // XEP-0059 §2.7
        let count = async |romeo: &mut Client, fields: &[(&str, &str)]| {
            let answer = ask(romeo, fields, &set("<max>0</max>")).await?;
            assert!(answer.messages.is_empty() && answer.first.is_none());
            Ok::<_, String>((answer.count.unwrap_or_default(), answer.is_complete))
        };
        assert_eq!(count(&mut romeo, &[]).await?, ("9".to_owned(), false));
        let nurses = count(&mut romeo, &[("with", "nurse@localhost")]).await?;
        assert_eq!(nurses, ("3".to_owned(), false));
        let nobodys = count(&mut romeo, &[("with", "tybalt@localhost")]).await?;
        assert_eq!(nobodys, ("0".to_owned(), true));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_page_has_a_bound_in_bytes() -> Outcome {
    let plan = Plan {
        settings: "modules.archive.page_size = '100 KiB'".into(),
        ..Plan::in_memory(MODULES)
    };
    let world = world(plan).await?;
    let mut juliet = bound(&world, "juliet").await?;
    for size in [40_000, 40_000, 40_000, 200_000, 1] {
        juliet.send(&chat("romeo@localhost", &"x".repeat(size / 2))).await?;
        world.settle().await?;
    }
    let mut romeo = bound(&world, "romeo").await?;
    let (mut after, mut sizes) = (String::new(), Vec::new());
    loop {
        let page = ask(&mut romeo, &[], &set(&after)).await?;
        sizes.push(page.messages.len());
        if page.is_complete {
            break;
        }
        after = format!("<after>{}</after>", page.last.unwrap_or_default());
    }
    assert_eq!(sizes, [2, 1, 1, 1]);
    Ok(())
}
