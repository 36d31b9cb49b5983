//! What a client asks for along with its authentication (XEP-0388 §2.3).

use std::borrow::Cow;
use std::sync::Arc;

use waxwing_xml::Element;
use zeroize::Zeroizing;

use crate::event::Enable;
use crate::host::Host;
use crate::role::client::tasks;
use crate::sasl::{self, Failure, FailureCondition, Hash};
use crate::{BIND2, CSI, FAST, SASL2, SM, UPGRADE};

/// The longest identifier of a user agent, in bytes; a UUID has 36.
const AGENT_BYTES: usize = 64;

/// `<authenticate/>`, taken apart as far as a stream must know it.
pub(crate) struct Request {
    /// The whole element, for the modules that understand other parts of it.
    pub(crate) element: Arc<Element>,
    /// `<upgrade/>` (XEP-0480), in the order of our preference.
    pub(crate) upgrades: Vec<Hash>,
    /// `<user-agent id=''/>`.
    pub(crate) agent: Option<String>,
    /// `<resume/>`.
    pub(crate) resume: Option<Resume>,
    /// `<bind/>`.
    pub(crate) bind: Option<Bind>,
}

/// XEP-0198 §5 inside `<authenticate/>`.
pub(crate) enum Resume {
    /// The session and the count of stanzas that the client has handled.
    Session(String, u32),
    /// One of them is missing.
    Malformed,
}

/// XEP-0386 §4.
pub(crate) struct Bind {
    pub(crate) tag: Option<String>,
    pub(crate) enable: Option<Enable>,
    /// XEP-0352: the session begins inactive.
    pub(crate) inactive: bool,
}

impl Request {
    /// Takes an `<authenticate/>` apart.
    ///
    /// # Errors
    /// `malformed-request` where it breaks XEP-0388.
    pub(crate) fn read(host: &Host, element: Element) -> Result<Request, Failure> {
        let malformed = |text| Failure::new(FailureCondition::MalformedRequest).text(text);
        let agent = element.child("user-agent", SASL2);
        let agent = agent.and_then(|agent| agent.attribute("id").map(Cow::into_owned));
        if agent.as_ref().is_some_and(|id| id.is_empty() || id.len() > AGENT_BYTES) {
            return Err(malformed("the id of a user agent is a UUID"));
        }
        let resume = element.child("resume", SM).map(|resume| {
            let h = resume.attribute("h").and_then(|h| h.parse().ok());
            let previd = resume.attribute("previd").filter(|previd| !previd.is_empty());
            match (previd, h) {
                (Some(previd), Some(h)) => Resume::Session(previd.into_owned(), h),
                _ => Resume::Malformed,
            }
        });
        let bind = element.child("bind", BIND2).map(|bind| Bind {
            tag: bind.child("tag", BIND2).map(|tag| tag.text().trim().to_owned()),
            enable: bind.child("enable", SM).map(|enable| Enable {
                resume: matches!(enable.attribute("resume").as_deref(), Some("true" | "1")),
                max: enable.attribute("max").and_then(|max| max.parse().ok()),
            }),
            inactive: bind.child("inactive", CSI).is_some(),
        });
        let asked = element.children().filter(|child| child.is("upgrade", UPGRADE));
        let asked: Vec<String> = asked.map(|child| child.text().trim().to_owned()).collect();
        let mut upgrades = sasl::upgrades(host);
        upgrades.retain(|hash| asked.contains(&tasks::name(*hash)));
        Ok(Request { element: Arc::new(element), upgrades, agent, resume, bind })
    }

    /// The name of the mechanism.
    pub(crate) fn mechanism(&self) -> Cow<'_, str> {
        self.element.attribute("mechanism").unwrap_or_default()
    }

    /// XEP-0484 §3.6: the client wants its token to end.
    pub(crate) fn is_last_use(&self) -> bool {
        let fast = self.element.child("fast", FAST);
        fast.is_some_and(|fast| {
            matches!(fast.attribute("invalidate").as_deref(), Some("true" | "1"))
        })
    }

    /// The initial response, if there is one. §2.2: "To indicate the absence of an initial
    /// response, or the absence of success data, the element is simply not included."
    ///
    /// # Errors
    /// It is not base64.
    pub(crate) fn initial(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let initial = self.element.child("initial-response", SASL2);
        initial.map(|initial| sasl::decode_plain(&initial.text())).transpose()
    }
}
