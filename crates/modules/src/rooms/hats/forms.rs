//! Forms about hats: what is asked, and what is listed.

use waxwing_stanza::payload::dataform::{
    DataForm, Field, FieldType, FormType, Reported, Row as Line,
};

use super::{Deed, FORM, WORN, all, hat};
use crate::rooms::room::Room;

/// What must be known for a deed.
pub(super) fn ask_for(room: &Room, deed: Deed, title: &str) -> DataForm {
    let form = DataForm::new(FormType::Form).title(title).about(FORM);
    let address = || Field::new(FieldType::JidSingle, "hats#jid").label("User Address").required();
    let choice = || {
        let field = Field::new(FieldType::ListSingle, "hats#uri").label("The hat").required();
        all(room).into_iter().fold(field, |field, (uri, hat)| field.option(uri, hat.title))
    };
    match deed {
        Deed::Create => form
            .with(Field::new(FieldType::TextSingle, "hats#title").label("Hat Title").required())
            .with(Field::new(FieldType::TextSingle, "hats#uri").label("Hat URI").required())
            .with(Field::new(FieldType::TextSingle, "hats#hue").label("Hat Hue")),
        Deed::Destroy => form.with(choice()),
        _ => form.with(address()).with(choice()),
    }
}

/// What hats there are.
pub(super) fn list(room: &Room) -> DataForm {
    let lines = all(room).into_iter().map(|(uri, hat)| {
        line(&[("hats#title", &hat.title), ("hats#uri", uri), ("hats#hue", &hat.hue)])
    });
    table("Hats", &["hats#title", "hats#uri", "hats#hue"], lines.collect())
}

/// Who wears which.
pub(super) fn list_assigned(room: &Room) -> DataForm {
    let mut lines = Vec::new();
    for (real, uris) in room.notes.of(WORN) {
        for uri in uris.lines() {
            let Some(hat) = hat(room, uri) else { continue };
            lines.push(line(&[
                ("hats#jid", real),
                ("hats#uri", uri),
                ("hats#title", &hat.title),
                ("hats#hue", &hat.hue),
            ]));
        }
    }
    table("Who wears which hat", &["hats#jid", "hats#uri", "hats#title", "hats#hue"], lines)
}

fn line(cells: &[(&str, &str)]) -> Line {
    let cell = |(var, value): &(&str, &str)| Field {
        var: Some((*var).to_owned()),
        values: vec![(*value).to_owned()],
        ..Field::default()
    };
    Line { fields: cells.iter().map(cell).collect() }
}

fn table(title: &str, columns: &[&str], items: Vec<Line>) -> DataForm {
    let column = |var: &&str| Field { var: Some((*var).to_owned()), ..Field::default() };
    let reported = Reported { fields: columns.iter().map(column).collect() };
    let form = DataForm::new(FormType::Result).title(title);
    DataForm { reported: Some(reported), items, ..form }
}
