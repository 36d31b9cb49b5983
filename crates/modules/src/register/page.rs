//! The page that a link of invitation leads to (XEP-0379 §3.3, XEP-0401 §5.2). It needs no script,
//! loads nothing from elsewhere, and is made for phones first.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::http::{
    Bytes, Content, HeaderValue, HttpReply, HttpRequest, Intake, Method, StatusCode, header,
    percent_decoded, percent_encoded,
};
use waxwing_stanza::StanzaError;

use super::Register;
use super::invite::Invite;
use super::signup::Wish;

/// A name and a password, percent-encoded.
const FORM_BYTES: usize = 16 * 1024;

/// Nothing from elsewhere, no script, and no other page around it.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Programs for one kind of machine.
struct Platform {
    /// What a browser on it says of itself; nothing for all others.
    sign: &'static str,
    name: &'static str,
    /// Names and addresses.
    programs: &'static [(&'static str, &'static str)],
}

/// The one that the visitor seems to have is shown first.
const PLATFORMS: [Platform; 4] = [
    Platform {
        sign: "Android",
        name: "Android",
        programs: &[("Conversations", "https://conversations.im/")],
    },
    Platform {
        sign: "iPhone",
        name: "iPhone",
        programs: &[("Monal", "https://monal-im.org/"), ("Siskin", "https://siskin.im/")],
    },
    Platform {
        sign: "Mac OS",
        name: "Mac",
        programs: &[("Monal", "https://monal-im.org/"), ("Beagle", "https://beagle.im/")],
    },
    Platform {
        sign: "",
        name: "Desktop",
        programs: &[("Gajim", "https://gajim.org/"), ("Dino", "https://dino.im/")],
    },
];

impl Register {
    /// What is asked for below the module's folder: a token.
    pub(super) async fn page(self: Arc<Self>, mut request: HttpRequest) -> HttpReply {
        let is_read = matches!(request.method, Method::GET | Method::HEAD);
        if !is_read && request.method != Method::POST {
            let allow = HeaderValue::from_static("GET, HEAD, POST");
            return HttpReply::status(StatusCode::METHOD_NOT_ALLOWED).with(header::ALLOW, allow);
        }
        let token = request.path.clone();
        let invite = match self.look_up(&self.hub, &token, Some(request.client)).await {
            Ok(invite) => invite.filter(|invite| invite.is_open(&self.hub)),
            Err(error) => return self.trouble(StatusCode::TOO_MANY_REQUESTS, &error),
        };
        let Some(invite) = invite else { return self.spent() };
        let agent = request.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or_default().to_owned();
        let ask = Ask { invite: &invite, token: &token, agent: &agent, name: "", trouble: None };
        if is_read {
            return self.ask_page(&ask, StatusCode::OK);
        }
        let fields = match form(&mut *request.body).await {
            Ok(fields) => fields,
            Err(status) => return HttpReply::status(status),
        };
        let (name, password) = (field(&fields, "name"), field(&fields, "password"));
        let wish = Wish {
            name: name.trim(),
            password,
            peer: Some(request.client),
            invite: Some(invite.clone()),
        };
        match self.sign_up(&self.hub, wish).await {
            Ok(jid) => self.made(&jid, &invite, &agent),
            Err(error) => {
                let trouble = error.text.as_deref();
                let ask = Ask { name, trouble, ..ask };
                self.ask_page(&ask, StatusCode::UNPROCESSABLE_ENTITY)
            }
        }
    }

    /// The invitation, with the ways to take it up.
    fn ask_page(&self, ask: &Ask<'_>, status: StatusCode) -> HttpReply {
        let Ask { invite, token, agent, .. } = ask;
        let domain = escape(self.domain.domain());
        let title = match &invite.inviter {
            Some(inviter) => format!("{} invites you to chat", escape(inviter.as_str())),
            None => format!("You are invited to {domain}"),
        };
        let until = stamp_of(invite.expires.unsigned_abs());
        let until = until.split('T').next().unwrap_or_default();
        let uri = escape(&self.uri(invite, token));
        let mut content = format!(
            "<h1>{title}</h1>\n<p class=\"lead\">{domain} is a chat server. You can use it with \
             many programs, and talk to people on other servers too. This invitation is good \
             until {until}.</p>\n"
        );
        if invite.registers {
            content += &self.account_form(ask);
            content += "<h2>You have a chat program already?</h2>\n";
        }
        content += &format!(
            "<p><a class=\"main\" href=\"{uri}\">Open the invitation in it</a></p>\n\
             <p class=\"hint\">Nothing happens? Then get one of these programs, and come back to \
             this page.</p>\n{}",
            clients(agent)
        );
        page(status, &title, &content)
    }

    fn account_form(&self, ask: &Ask<'_>) -> String {
        let Ask { invite, name, trouble, .. } = ask;
        let trouble = trouble
            .map(|text| format!("<p class=\"notice bad\" role=\"alert\">{}</p>\n", escape(text)));
        let (name, fixed) = match &invite.username {
            Some(name) => (escape(name), " readonly"),
            None => (escape(name), ""),
        };
        let (domain, least) = (escape(self.domain.domain()), self.config.password_length);
        format!(
            "<h2>Make your account</h2>\n<form method=\"post\">\n{}\
             <div class=\"field\"><label for=\"name\">Name</label>\
             <div class=\"address\"><input id=\"name\" name=\"name\" type=\"text\" \
             value=\"{name}\"{fixed} autocomplete=\"username\" autocapitalize=\"none\" \
             autocorrect=\"off\" spellcheck=\"false\" dir=\"ltr\" maxlength=\"1023\" required>\
             <span class=\"domain\">@{domain}</span></div></div>\n\
             <div class=\"field\"><label for=\"password\">Password</label>\
             <input id=\"password\" name=\"password\" type=\"password\" \
             autocomplete=\"new-password\" minlength=\"{least}\" maxlength=\"1023\" required>\
             <p class=\"hint\">{least} characters or more. Long is good.</p></div>\n\
             <button type=\"submit\" class=\"main\">Create account</button>\n</form>\n",
            trouble.unwrap_or_default()
        )
    }

    /// What a chat program opens: with a contact who invites, that contact.
    fn uri(&self, invite: &Invite, token: &str) -> String {
        let domain = self.domain.domain();
        match (&invite.inviter, invite.befriends) {
            (Some(inviter), true) => {
                let local = percent_encoded(inviter.local().unwrap_or_default());
                let end = if invite.registers { ";ibr=y" } else { "" };
                format!("xmpp:{local}@{domain}?roster;preauth={token}{end}")
            }
            _ => {
                let name = invite.username.as_deref().map(percent_encoded);
                let name = name.map(|name| format!("{name}@")).unwrap_or_default();
                format!("xmpp:{name}{domain}?register;preauth={token}")
            }
        }
    }

    /// The account is there.
    fn made(&self, jid: &BareJid, invite: &Invite, agent: &str) -> HttpReply {
        let friend = invite.inviter.as_ref().filter(|_| invite.befriends).map(|inviter| {
            format!("<p>{} is among your contacts already.</p>\n", escape(inviter.as_str()))
        });
        let content = format!(
            "<h1>Your account is ready</h1>\n\
             <p class=\"lead\">This is your address. Friends need it to reach you.</p>\n\
             <p class=\"big\"><code dir=\"ltr\">{}</code></p>\n{}\
             <h2>What is next</h2>\n\
             <p>Get one of these programs, and sign in with your address and password.</p>\n{}",
            escape(jid.as_str()),
            friend.unwrap_or_default(),
            clients(agent)
        );
        page(StatusCode::CREATED, "Your account is ready", &content)
    }

    fn spent(&self) -> HttpReply {
        let content = "<h1>This invitation does not work</h1>\n\
                       <p class=\"lead\">It was used already, its time is over, or it was taken \
                       back. Ask whoever sent it for a new one.</p>";
        page(StatusCode::NOT_FOUND, "This invitation does not work", content)
    }

    fn trouble(&self, status: StatusCode, error: &StanzaError) -> HttpReply {
        let text = error.text.as_deref().unwrap_or("Try again later.");
        let content = format!("<h1>Not now</h1>\n<p class=\"lead\">{}</p>", escape(text));
        page(status, "Not now", &content)
    }
}

/// What the page of an invitation shows.
struct Ask<'a> {
    invite: &'a Invite,
    token: &'a str,
    agent: &'a str,
    /// What was typed before, and what is wrong with it.
    name: &'a str,
    trouble: Option<&'a str>,
}

/// Reads `name=…&password=…`.
async fn form(body: &mut dyn Intake) -> Result<Vec<(String, String)>, StatusCode> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        let piece: Bytes = piece.map_err(|_| StatusCode::BAD_REQUEST)?;
        if bytes.len() + piece.len() > FORM_BYTES {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        bytes.extend_from_slice(&piece);
    }
    let text = String::from_utf8(bytes).map_err(|_| StatusCode::BAD_REQUEST)?;
    let decoded = |text: &str| percent_decoded(&text.replace('+', " "));
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((decoded(name)?, decoded(value)?))
    };
    let pairs = text.split('&').filter(|text| !text.is_empty());
    pairs.map(pair).collect::<Option<_>>().ok_or(StatusCode::BAD_REQUEST)
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> &'a str {
    fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

fn clients(agent: &str) -> String {
    let mut platforms: Vec<&Platform> = PLATFORMS.iter().collect();
    platforms.sort_by_key(|it| it.sign.is_empty() || !agent.contains(it.sign));
    let mut out = String::from("<dl class=\"clients\">\n");
    for Platform { name, programs, .. } in platforms {
        let link = |(name, url): &(&str, &str)| format!("<a href=\"{url}\">{name}</a>");
        let links: Vec<String> = programs.iter().map(link).collect();
        out += &format!("<dt>{name}</dt><dd>{}</dd>\n", links.join(", "));
    }
    out + "</dl>\n"
}

fn page(status: StatusCode, title: &str, content: &str) -> HttpReply {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title}</title>\n\
         <link rel=\"icon\" type=\"image/svg+xml\" href=\"/favicon.svg\">\n\
         <link rel=\"stylesheet\" href=\"/assets/waxwing.css\">\n</head>\n<body>\n<main>\n\
         <section class=\"card\">\n{content}\n</section>\n</main>\n</body>\n</html>\n"
    );
    let set = |reply: HttpReply, name, value| reply.with(name, HeaderValue::from_static(value));
    let reply = HttpReply::status(status);
    let reply = set(reply, header::CONTENT_TYPE, "text/html; charset=utf-8");
    let reply = set(reply, header::CACHE_CONTROL, "no-store");
    let reply = set(reply, header::CONTENT_SECURITY_POLICY, POLICY);
    let reply = set(reply, header::REFERRER_POLICY, "no-referrer");
    let reply = set(reply, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    HttpReply { content: Content::Bytes(html.into()), ..reply }
}

/// For text and for values in quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_typed_becomes_markup() {
        assert_eq!(escape("<b a='x'>&\""), "&lt;b a=&#39;x&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn the_platform_of_the_visitor_comes_first() {
        let first = |agent: &str| {
            let list = clients(agent);
            list.split("<dt>").nth(1).unwrap().split('<').next().unwrap().to_owned()
        };
        assert_eq!(first("Mozilla/5.0 (Linux; Android 16)"), "Android");
        assert_eq!(first("Mozilla/5.0 (iPhone; CPU iPhone OS 19 like Mac OS X)"), "iPhone");
        assert_eq!(first("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15)"), "Mac");
    }
}
