//! How a client gets its session: stream, SASL, resource, presence; and how it ends it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;

use super::{Client, Framing, attribute, slow, text};
use crate::Outcome;
use crate::scram::Scram;
use crate::target::{RESOURCE, Speech, Target};

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

impl Client {
    /// Connects the client with this number and signs it in, unseen as yet. On the floor it joins
    /// the group: what one of a group says, all others get.
    pub(crate) async fn enter(target: &Target, number: usize, group: usize) -> Outcome<Self> {
        let mut client = Self::connect(target).await?;
        if target.is_floor() {
            client.out.extend_from_slice(&(group as u32).to_be_bytes());
            client.flush().await?;
            return Ok(client);
        }
        let signing_in = tokio::time::timeout(target.patience, client.sign_in(target, number));
        signing_in.await.map_err(|_| slow(target, "sign in"))??;
        Ok(client)
    }

    /// Makes the account with this number (XEP-0077). One that is there already is fine.
    pub(crate) async fn register(target: &Target, number: usize) -> Outcome<()> {
        let mut client = Self::connect(target).await?;
        let asking = async {
            let features = client.open(&target.domain).await?;
            refuse_tls(&features)?;
            let (user, password) = (target.accounts.name(number), target.accounts.password(number));
            let query = format!(
                "<query xmlns='jabber:iq:register'><username>{}</username>\
                 <password>{}</password></query>",
                escape(&user),
                escape(password)
            );
            let answer = client.ask("set", "register", &target.domain, &query).await?;
            if is_result(&answer) || answer.contains("<conflict") {
                return Ok(());
            }
            Err(format!(
                "the server does not let {user} register: {answer}. Allow in-band registration, or \
                 name existing accounts with --accounts"
            ))
        };
        let done = tokio::time::timeout(target.patience, asking).await;
        done.map_err(|_| slow(target, "register"))??;
        client.leave().await
    }

    async fn sign_in(&mut self, target: &Target, number: usize) -> Outcome<()> {
        self.authenticate(target, number).await?;
        let user = target.accounts.name(number);
        let bind = format!(
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{RESOURCE}</resource></bind>"
        );
        let answer = self.ask("set", "bind", "", &bind).await?;
        let address = target.full_address(number);
        match is_result(&answer) && answer.contains(&escape(&address)) {
            true => Ok(()),
            false => {
                Err(format!("the server does not give {user} the address {address}: {answer}"))
            }
        }
    }

    /// Up to the stream that knows who this is.
    pub(super) async fn authenticate(&mut self, target: &Target, number: usize) -> Outcome<()> {
        let features = self.open(&target.domain).await?;
        refuse_tls(&features)?;
        let (user, password) = (target.accounts.name(number), target.accounts.password(number));
        match target.speech {
            Speech::Plain => {
                let secret = BASE64.encode(format!("\0{user}\0{password}"));
                self.send(&format!("<auth xmlns='{SASL}' mechanism='PLAIN'>{secret}</auth>"))
                    .await?;
                self.expect("<success", &user).await?;
            }
            Speech::ScramSha1 | Speech::Floor => {
                let scram = Scram::new(&user);
                let first = scram.first();
                self.send(&format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{first}</auth>"))
                    .await?;
                let challenge = self.expect("<challenge", &user).await?;
                let (answer, verifier) = scram.answer(text(&challenge), password, &target.keys)?;
                self.send(&format!("<response xmlns='{SASL}'>{answer}</response>")).await?;
                let success = self.expect("<success", &user).await?;
                if text(&success) != verifier {
                    return Err(format!("the server does not know the password of {user} itself"));
                }
            }
        }
        self.open(&target.domain).await.map(drop)
    }

    /// Shows presence, and returns when the server has dealt with it.
    pub(crate) async fn show(&mut self, target: &Target) -> Outcome<()> {
        if target.is_floor() {
            return Ok(());
        }
        let presence = self.stanza("<presence", "/>");
        self.push(&presence);
        let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        let asking = self.ask("get", "shown", &target.domain, query);
        let answer = tokio::time::timeout(target.patience, asking).await;
        let answer = answer.map_err(|_| slow(target, "show presence"))??;
        match is_result(&answer) {
            true => Ok(()),
            false => Err(format!("the server refuses a question about itself: {answer}")),
        }
    }

    /// Ends the stream and the connection as the standard asks.
    pub(crate) async fn leave(mut self) -> Outcome<()> {
        match self.framing {
            Framing::Tcp(_) => self.push("</stream:stream>"),
            Framing::WebSocket(_) => {
                self.push("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing' />");
            }
        }
        self.flush().await
    }

    /// Opens a stream; gives the features of the server.
    async fn open(&mut self, domain: &str) -> Outcome<String> {
        let header = match self.framing {
            Framing::Tcp(_) => format!(
                "<?xml version='1.0'?><stream:stream to='{domain}' version='1.0' xml:lang='en' \
                 xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
            ),
            Framing::WebSocket(_) => format!(
                "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{domain}' version='1.0' \
                 xml:lang='en'/>"
            ),
        };
        let answer = async {
            self.send(&header).await?;
            self.expect("<stream:features", "").await
        };
        answer.await.map_err(|reason| match reason.contains("host-unknown") {
            true => format!("{reason}: give --domain a virtual host of this server"),
            false => format!("{reason}, before it offers anything: is this the right --transport?"),
        })
    }

    /// Sends a request and waits for its answer. Without `to` it is for the account itself.
    pub(crate) async fn ask(
        &mut self,
        kind: &str,
        id: &str,
        to: &str,
        payload: &str,
    ) -> Outcome<String> {
        let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
        let rest = format!(" type='{kind}' id='{id}'{to}>{payload}</iq>");
        self.send(&self.stanza("<iq", &rest)).await?;
        loop {
            let element = self.next().await?;
            if element.starts_with("<iq") && attribute(&element, "id") == Some(id) {
                return Ok(element);
            }
        }
    }

    /// Reads up to the element that begins so. A refusal ends the wait.
    pub(super) async fn expect(&mut self, start: &str, user: &str) -> Outcome<String> {
        loop {
            let element = self.next().await?;
            if element.starts_with(start) {
                return Ok(element);
            }
            if element.starts_with("<failure") && element.contains("<encryption-required") {
                return Err("the server wants TLS for passwords in the clear: use --transport \
                            starttls or tls, or another --auth"
                    .into());
            }
            if element.starts_with("<failure") {
                return Err(format!(
                    "the server does not let {user} sign in: {element}. If the password is wrong, \
                     give --password or --accounts; where no such account exists, --register makes \
                     it"
                ));
            }
        }
    }
}

/// Whether the answer to a request is a result.
pub(crate) fn is_result(answer: &str) -> bool {
    attribute(answer, "type") == Some("result")
}

fn refuse_tls(features: &str) -> Outcome<()> {
    let wants = features.contains("xmpp-tls") && features.contains("<required");
    let offers_nothing = !features.contains("<mechanism>");
    match wants && offers_nothing {
        true => Err("the server wants TLS first: use --transport starttls or tls".into()),
        false => Ok(()),
    }
}

/// Text as it may stand in XML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
}
