use super::*;

const PAGE: &str = "\
# A page

    [modules.ping]
    on = true

## First

    romeo > <presence/>
    romeo < <iq type='result'
      id='a'/>

    time + 2m

Words in between.

    romeo/phone#2 <<

## Second

    set modules.offline.messages = 1
    juliet@verona.example +  elsewhere
";

#[test]
fn headings_start_scenarios() {
    let scenarios = read("page.md", PAGE).unwrap();
    let titles: Vec<_> = scenarios.iter().map(|scenario| &scenario.title[..]).collect();
    assert_eq!(titles, ["First", "Second"]);
    let numbers: Vec<_> = scenarios[0].lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [8, 9, 12, 16]);
    assert!(scenarios[0].moves_time() && !scenarios[1].moves_time());
}

#[test]
fn names_have_parts_that_may_be_left_out() {
    let show = |word| Name::parse(word).map(|name| name.to_string());
    assert_eq!(show("romeo").unwrap(), "romeo@localhost/desk");
    assert_eq!(show("romeo/phone#2").unwrap(), "romeo@localhost/phone#2");
    assert_eq!(show("nurse@verona.example").unwrap(), "nurse@verona.example/desk");
    for wrong in ["<a", "", "[modules.ping]", "a@b@c", "1"] {
        assert_eq!(show(wrong), None, "{wrong}");
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    let page = "## T\n\n    romeo > <presence/>\n    romeo says hello\n";
    assert_eq!(read("page.md", page).unwrap_err(), "page.md:4: not understood: romeo says hello");
    let page = "## T\n\n    romeo < <presence>\n";
    assert!(read("page.md", page).unwrap_err().starts_with("page.md:3: "));
    let page = "## T\n\n    time + 3 days\n";
    assert!(read("page.md", page).unwrap_err().contains("s, m or h"));
}

#[test]
fn other_servers_are_told_from_people() {
    let page = "## T\n\n    set capulet.example: modules.offline.messages = 1\n    \
                set modules.push.delay = 'a: b'\n    capulet.example is a server\n    \
                capulet.example shows the papers of mallory.example\n    \
                mallory.example#2 calls localhost under TLS\n    road capulet.example is cut\n";
    let scenario = &read("page.md", page).unwrap()[0];
    let steps: Vec<String> = scenario.lines.iter().map(|line| format!("{:?}", line.step)).collect();
    for (step, part) in steps.iter().zip([
        "SetAt(\"capulet.example\", \"modules.offline.messages = 1\")",
        "Set(\"modules.push.delay = 'a: b'\")",
        "Server)",
        "Show(For(\"mallory.example\"))",
        "Call { to: \"localhost\", is_secure: true }",
        "Road(RoadAct { one: \"localhost\", other: \"capulet.example\", change: Cut })",
    ]) {
        assert!(step.contains(part), "{step}");
    }
    assert!(scenario.is_federated());
    assert!(read("p", "## T\n\n    mallory.example shows teeth\n").unwrap().is_empty());
}
