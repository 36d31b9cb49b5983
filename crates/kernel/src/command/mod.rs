//! Commands: what an operator can ask for, declared once.
//!
//! A form is declared with [`form!`](crate::form), a command is a form with a name and a
//! handler. From the declaration follow the ad-hoc command (XEP-0050 with XEP-0133's nodes), the
//! words and flags of the command line, and JSON. Nothing here knows a stanza or a terminal:
//! forms and answers are plain data, which others write as XML, text or JSON.

mod data;
mod deed;
mod field;
mod form;
mod lines;
mod refusal;
mod said;
mod table;
mod values;

pub use data::{DataField, DataForm, FormKind};
pub use deed::Deed;
pub use field::{Field, FieldKind, Secret, read_choice};
pub use form::{FieldAbout, Form, read_field};
pub use lines::Lines;
pub use refusal::{Refusal, RefusalKind};
pub use said::{Column, Fact, Grid, Said};
pub use table::Commands;
pub use values::Values;

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use waxwing_jid::Jid;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Somebody with access to the control socket: the operator of this machine.
    Operator,
    /// A session of an account.
    Account(Jid),
    /// A program that shows a token, by HTTP. An admin made it, and it reaches as far.
    Token {
        /// What the program is called.
        name: String,
        /// Whether the token is good for every domain: only the operator makes such. The same name
        /// may stand on a token of the domain.
        everywhere: bool,
    },
}

/// As it is noted who did something.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("operator"),
            Self::Account(jid) => jid.fmt(f),
            // In front: a name is free text, and could say the same behind it.
            Self::Token { name, everywhere: true } => write!(f, "server-wide token {name}"),
            Self::Token { name, everywhere: false } => write!(f, "token {name}"),
        }
    }
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The operator, and the admins of the host.
    Admin,
    /// Everybody with an account.
    Anyone,
}

/// What a handler is given.
#[derive(Clone, Debug)]
pub struct Order<F> {
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub form: F,
}

/// A command as it is declared.
#[derive(Clone, Copy, Debug)]
pub struct CommandAbout {
    /// The node of the ad-hoc command: one of XEP-0133, or one of our own.
    pub node: &'static str,
    /// How it is called on the command line, such as `["user", "add"]`.
    pub words: &'static [&'static str],
    /// What it does: the doc comment of its form.
    pub about: &'static str,
    /// What it asks for.
    pub fields: &'static [FieldAbout],
    /// Who may ask.
    pub access: Access,
    /// Whether it destroys something, so that a person should be asked once more.
    pub is_danger: bool,
    /// Whether it only tells what admins know anyway, so that nobody keeps account of it.
    pub is_read: bool,
}

impl CommandAbout {
    /// Declares the command of a form, for admins.
    pub const fn of<F: Form>(node: &'static str, words: &'static [&'static str]) -> Self {
        let (about, fields) = (F::ABOUT, F::FIELDS);
        Self { node, words, about, fields, access: Access::Admin, is_danger: false, is_read: false }
    }

    /// Lets everybody with an account ask.
    pub const fn anyone(mut self) -> Self {
        self.access = Access::Anyone;
        self
    }

    /// Says that it destroys something.
    pub const fn danger(mut self) -> Self {
        self.is_danger = true;
        self
    }

    /// Says that it only tells what admins know anyway.
    pub const fn reads(mut self) -> Self {
        self.is_read = true;
        self
    }

    /// Its title: the first sentence of its doc comment.
    pub fn title(&self) -> String {
        form::first_sentence(self.about)
    }

    /// All that is said of it.
    pub fn text(&self) -> String {
        crate::config::paragraph(self.about)
    }

    /// Whether this caller may ask. `is_admin`: the caller is an admin of the host asked.
    pub fn allows(&self, caller: &Caller, is_admin: bool) -> bool {
        matches!(caller, Caller::Operator) || is_admin || self.access == Access::Anyone
    }
}

/// An answer under way.
pub type Running = Pin<Box<dyn Future<Output = Result<Said, Refusal>> + Send>>;

/// A handler with its form and module forgotten.
pub type Run = Arc<dyn Fn(Caller, Values) -> Running + Send + Sync>;

/// What a form shows as filled in already.
type Fill = Arc<dyn Fn(Caller) -> Pin<Box<dyn Future<Output = Values> + Send>> + Send + Sync>;

/// A command that can be run: its declaration, and a handler.
#[derive(Clone)]
pub struct Command {
    about: &'static CommandAbout,
    run: Run,
    fill: Option<Fill>,
}

impl Command {
    /// Lets `handler`, a method of `module`, answer the command.
    pub fn new<M, F, Answer>(
        about: &'static CommandAbout,
        module: Arc<M>,
        handler: fn(Arc<M>, Order<F>) -> Answer,
    ) -> Self
    where
        M: Send + Sync + 'static,
        F: Form,
        Answer: Future<Output = Result<Said, Refusal>> + Send + 'static,
    {
        let run = move |caller, values: Values| -> Running {
            match F::read(&values) {
                Ok(form) => Box::pin(handler(Arc::clone(&module), Order { caller, form })),
                Err(refusal) => Box::pin(std::future::ready(Err(refusal))),
            }
        };
        Self { about, run: Arc::new(run), fill: None }
    }

    /// Shows the form with what `values` gives, for people who change what is there already.
    pub fn filled<M, Answer>(self, module: Arc<M>, values: fn(Arc<M>, Caller) -> Answer) -> Self
    where
        M: Send + Sync + 'static,
        Answer: Future<Output = Values> + Send + 'static,
    {
        let fill = move |caller| -> Pin<Box<dyn Future<Output = Values> + Send>> {
            Box::pin(values(Arc::clone(&module), caller))
        };
        Self { fill: Some(Arc::new(fill)), ..self }
    }

    /// The form to fill in, with what is there already. Only for a caller who may ask.
    pub async fn form(&self, caller: Caller) -> DataForm {
        let mut form = self.about.to_form();
        if let Some(fill) = &self.fill {
            let values = fill(caller).await;
            for field in form.fields.iter_mut().filter(|field| field.values.is_empty()) {
                field.values = values.of(&field.var).to_vec();
            }
        }
        form
    }

    /// Its declaration.
    pub fn about(&self) -> &'static CommandAbout {
        self.about
    }

    /// Answers a caller, if that caller may ask.
    pub fn run(&self, caller: Caller, is_admin: bool, values: Values) -> Running {
        if self.about.allows(&caller, is_admin) {
            (self.run)(caller, values)
        } else {
            Box::pin(std::future::ready(Err(Refusal::forbidden())))
        }
    }
}

impl Deref for Command {
    type Target = CommandAbout;

    fn deref(&self) -> &CommandAbout {
        self.about
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({})", self.about.words.join(" "))
    }
}
