//! Forms and commands: declared, filled in, answered.

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::command::{
    Caller, Command, CommandAbout, Commands, FieldKind, Form, FormKind, Grid, Order, Refusal,
    RefusalKind, Said, Secret, Values,
};

const ADD_USER: &str = "http://jabber.org/protocol/admin#add-user";

waxwing_kernel::choice! {
    /// How an account begins.
    pub enum Start {
        /// It can be used at once.
        Ready = "ready",
        /// It waits for an admin.
        Waiting = "waiting",
    }
}

waxwing_kernel::form! {
    /// Adds an account. It can sign in at once.
    pub struct AddUser {
        /// The new address. Its domain must be served here.
        pub jid("accountjid"): BareJid,
        /// The password.
        pub password: Option<Secret>,
        /// The password once more.
        [dialogue] pub again("password-verify"): Option<Secret>,
        /// How it begins.
        pub start: Option<Start>,
        /// Groups of contacts.
        pub groups: Option<Vec<String>>,
        /// How many messages it may keep.
        pub quota: Option<u32>,
        /// Whether reserved names are allowed.
        pub force: bool,
    }
}

waxwing_kernel::form! {
    /// Lists accounts.
    pub struct ListUsers {}
}

static ADD: CommandAbout = CommandAbout::of::<AddUser>(ADD_USER, &["user", "add"]);
static LIST: CommandAbout =
    CommandAbout::of::<ListUsers>("waxwing:user-list", &["user", "list"]).anyone();

struct Admin;

impl Admin {
    async fn add(self: Arc<Self>, order: Order<AddUser>) -> Result<Said, Refusal> {
        let AddUser { jid, password, .. } = order.form;
        if password.is_none() {
            return Err(Refusal::invalid("password", "must be given"));
        }
        Ok(Said::note(format!("{jid} was added.")))
    }

    async fn list(self: Arc<Self>, _: Order<ListUsers>) -> Result<Said, Refusal> {
        let mut table = Grid::new(&[("jid", "Address"), ("sessions", "Sessions")]);
        table.row(["romeo@montague.net".to_owned(), "2".to_owned()]);
        table.row(["ju\u{1b}[2Jliet@b".to_owned(), "11".to_owned()]);
        Ok(Said::default().table(table).fact("total", "Total", "2"))
    }
}

fn commands() -> Commands {
    let admin = Arc::new(Admin);
    let all = [
        Command::new(&LIST, Arc::clone(&admin), Admin::list),
        Command::new(&ADD, admin, Admin::add),
    ];
    Commands::new(all).expect("their names differ")
}

fn values(pairs: &[(&str, &str)]) -> Values {
    let mut values = Values::default();
    for (var, value) in pairs {
        values.push(*var, *value);
    }
    values
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn forms_are_read() {
    let form = AddUser::read(&values(&[
        ("accountjid", " Juliet@Example.org "),
        ("password", "r0m30"),
        ("start", "waiting"),
        ("groups", "a"),
        ("groups", "b"),
        ("groups", "a"),
        ("quota", "10"),
        ("force", "1"),
        ("unknown", "ignored"),
    ]))
    .expect("it is filled in well");
    assert_eq!(form.jid.as_str(), "juliet@example.org");
    assert_eq!(form.password.as_ref().map(Secret::reveal), Some("r0m30"));
    assert_eq!(form.start, Some(Start::Waiting));
    assert_eq!(form.groups, Some(vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!((form.quota, form.force), (Some(10), true));
    assert!(!format!("{form:?}").contains("r0m30"));
}

#[test]
fn empty_is_the_same_as_absent() {
    let form = AddUser::read(&values(&[("accountjid", "a@b"), ("quota", ""), ("force", "")]));
    let form = form.expect("only the address is required");
    assert_eq!((form.quota, form.force, form.password), (None, false, None));
    let refusal = AddUser::read(&values(&[("accountjid", "")])).expect_err("it is required");
    assert_eq!(refusal.to_string(), "accountjid: must be given");
}

#[test]
fn errors_name_the_field() {
    for (var, value, told) in [
        ("quota", "many", "quota: expected a whole number up to 4294967295, found \"many\""),
        ("force", "perhaps", "force: expected true or false"),
        (
            "start",
            "waitin",
            "start: expected \"ready\" or \"waiting\", found \"waitin\"; did you mean `waiting`?",
        ),
        ("accountjid", "c@d", "accountjid: only one value may be given"),
    ] {
        let refusal = AddUser::read(&values(&[("accountjid", "a@b"), (var, value)]));
        assert_eq!(refusal.expect_err(var).to_string(), told);
    }
}

#[test]
fn a_command_is_asked_as_a_data_form() {
    let form = ADD.to_form();
    assert_eq!(form.kind, FormKind::Form);
    assert_eq!(form.title.as_deref(), Some("Adds an account"));
    let told: Vec<String> = form
        .fields
        .iter()
        .map(|field| {
            let required = if field.is_required { " required" } else { "" };
            format!("{} {}{required}", field.var, field.kind.unwrap_or_default())
        })
        .collect();
    assert_eq!(
        told,
        [
            "FORM_TYPE hidden required".trim_end_matches(" required"),
            "accountjid jid-single required",
            "password text-private",
            "password-verify text-private",
            "start list-single",
            "groups text-multi",
            "quota text-single",
            "force boolean",
        ]
    );
    assert_eq!(form.fields[0].values, ["http://jabber.org/protocol/admin"]);
    assert_eq!(form.fields[1].label.as_deref(), Some("The new address"));
    assert!(form.fields[1].desc.is_some() && form.fields[2].desc.is_none());
    assert_eq!(form.fields[4].options[1].1, "waiting");
    let submitted: Values =
        [("FORM_TYPE", vec!["x"]), ("accountjid", vec!["a@b"])].into_iter().collect();
    assert_eq!(submitted, values(&[("accountjid", "a@b")]));
}

#[tokio::test]
async fn commands_are_found_and_run() {
    let commands = commands();
    let add = commands.by_node(ADD_USER).expect("it is there");
    let filled = values(&[("accountjid", "a@b"), ("password", "x")]);
    let said = add.run(Caller::Operator, false, filled.clone()).await.expect("it is done");
    assert_eq!(said.to_text(), "a@b was added.\n");

    let romeo = Caller::Account(Jid::new("romeo@montague.net/x").expect("an address"));
    let refused = add.run(romeo.clone(), false, filled.clone()).await.expect_err("no admin");
    assert_eq!(refused.kind, RefusalKind::Forbidden);
    assert!(add.run(romeo.clone(), true, filled).await.is_ok());
    let list = commands.by_words(&words("user list")).expect("it is there");
    assert!(list.run(romeo, false, Values::default()).await.is_ok());

    let refused = commands.by_words(&words("user lsit")).expect_err("there is none");
    assert_eq!(
        refused.to_string(),
        "this server has no command `user lsit`; did you mean `user list`?"
    );
}

#[test]
fn no_two_commands_have_one_name() {
    let admin = Arc::new(Admin);
    let twice = || Command::new(&LIST, Arc::clone(&admin), Admin::list);
    assert!(Commands::new([twice(), twice()]).is_err());
}

#[tokio::test]
async fn answers_have_three_faces() {
    let commands = commands();
    let list = commands.by_words(&words("user list")).expect("it is there");
    let said = list.run(Caller::Operator, true, Values::default()).await.expect("a list");
    assert_eq!(
        said.to_text(),
        "Total: 2\n\
         ADDRESS             SESSIONS\n\
         romeo@montague.net  2\n\
         ju[2Jliet@b         11\n"
    );
    let json = said.to_json();
    assert_eq!(json["facts"]["total"], "2");
    assert_eq!(json["rows"][0]["jid"], "romeo@montague.net");

    let form = list.to_result(&said).expect("there is a table");
    assert_eq!(form.kind, FormKind::Result);
    assert!(form.fields.is_empty() && form.title.is_none());
    assert_eq!(form.reported.len(), 2);
    assert_eq!(form.items[1][1].values, ["11"]);
    assert_eq!(said.full_note(), "Total: 2");

    let said = Said::note("Two.").facts(
        "registereduserjids",
        "Accounts",
        FieldKind::Jids,
        vec!["a@b".to_owned(), "c@d".to_owned()],
    );
    let form = ADD.to_result(&said).expect("there are facts");
    assert_eq!(form.fields[1].values, ["a@b", "c@d"]);
    assert_eq!(said.to_text(), "Two.\nAccounts:\n  a@b\n  c@d\n");
    assert_eq!(ADD.to_result(&Said::note("Done.")), None);
}
