//! Finding rooms by words (XEP-0433, version 0.1.0).

use std::collections::HashMap;
use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::request::{Request, unstored};
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
use waxwing_stanza::payload::rsm;
use waxwing_stanza::{ErrorKind, StanzaError, payload, to_xml};
use waxwing_store::domains::rooms::RoomRow;
use waxwing_xml::write::{self, element};
use xso::FromXml;

use super::Rooms;
use super::config::{Config, Whois};

/// Namespace of questions.
pub(super) const NS: &str = "urn:xmpp:channel-search:0:search";

const PARAMS: &str = "urn:xmpp:channel-search:0:search-params";
const ERROR: &str = "urn:xmpp:channel-search:0:error";
const BY_USERS: &str = "{urn:xmpp:channel-search:0:order}nusers";
const BY_ADDRESS: &str = "{urn:xmpp:channel-search:0:order}address";

/// Rooms in one answer, read at a time, and looked at for one answer.
const PAGE: usize = 50;
const CHUNK: u32 = 250;
const LOOKED_AT: usize = 50_000;

/// Words of a question, and characters of the shortest.
const WORDS: usize = 8;
const WORD_CHARS: usize = 2;

/// `<search/>`: without a form, the question for one.
#[derive(FromXml)]
#[xml(namespace = NS, name = "search", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
pub struct Search {
    #[xml(child(default))]
    form: Option<DataForm>,
    #[xml(child(default))]
    set: Option<rsm::Request>,
}
payload!(Search, "search", NS);

/// What is looked for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    /// All of these words; none: all rooms.
    words: Vec<String>,
    in_name: bool,
    in_description: bool,
    in_address: bool,
    least: usize,
    by_users: bool,
}

/// A room that was found.
struct Hit {
    row: RoomRow,
    config: Config,
    count: usize,
}

impl Rooms {
    /// §5.2: "The Searcher MAY first request the search form".
    pub(super) async fn search(
        self: Arc<Self>,
        ask: Request<Search>,
    ) -> Result<String, StanzaError> {
        let Search { form, set } = ask.payload;
        let Some(form) = form else {
            return Ok(format!("<search xmlns='{NS}'>{}</search>", to_xml(&template())));
        };
        let wish = Wish::read(&form)?;
        let set = set.unwrap_or_default();
        if set.before.is_some() || set.index.is_some() {
            let text = "Rooms that were found are read from the first on.";
            return Err(StanzaError::feature_not_implemented().text(text));
        }
        let most = set.max.unwrap_or(PAGE).min(PAGE);
        // One looks through all rooms; others come a little later.
        let Ok(_turn) = self.searching.try_acquire() else { return Err(busy()) };
        let counts = self.lobby.counts();
        let after = set.after.unwrap_or_default();
        let (hits, is_more) = match wish.by_users {
            true => self.by_users(&wish, &counts, &after, most).await,
            false => self.by_address(&wish, &counts, &after, most).await,
        }?;
        Ok(answer(&hits, wish.by_users, is_more))
    }

    /// "Order the results by the address of the channel."
    async fn by_address(
        &self,
        wish: &Wish,
        counts: &HashMap<BareJid, usize>,
        after: &str,
        most: usize,
    ) -> Result<(Vec<Hit>, bool), StanzaError> {
        let (mut hits, mut after) = (Vec::new(), after.to_owned());
        for _ in 0..LOOKED_AT / CHUNK as usize {
            let page = self.rows.page(self.service.jid.as_str(), &after, CHUNK).await;
            let page = page.map_err(|error| unstored(&error))?;
            let is_last = page.len() < CHUNK as usize;
            for row in page {
                after.clone_from(&row.room);
                let Some(hit) = self.fits(wish, row, counts) else { continue };
                if hits.len() >= most {
                    return Ok((hits, true));
                }
                hits.push(hit);
            }
            if is_last {
                return Ok((hits, false));
            }
        }
        let is_more = !hits.is_empty();
        Ok((hits, is_more))
    }

    /// "Order the results descendingly by the number of users. This mode does not guarantee that
    /// all channels in the database are returned": those where nobody is are not.
    async fn by_users(
        &self,
        wish: &Wish,
        counts: &HashMap<BareJid, usize>,
        after: &str,
        most: usize,
    ) -> Result<(Vec<Hit>, bool), StanzaError> {
        let mut rooms: Vec<_> = counts.iter().map(|(room, count)| (*count, room)).collect();
        rooms.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.cmp(b)));
        let place = after.split_once(' ').and_then(|(count, room)| {
            Some((count.parse::<usize>().ok()?, BareJid::new(room).ok()?))
        });
        let is_behind = |(count, room): &(usize, &BareJid)| match &place {
            None => true,
            Some((other, last)) => count < other || count == other && *room > last,
        };
        let mut hits = Vec::new();
        for (_, room) in rooms.into_iter().filter(is_behind).take(LOOKED_AT) {
            let row = self.rows.public(room.as_str()).await.map_err(|error| unstored(&error))?;
            let hit = row.and_then(|row| self.fits(wish, row, counts));
            let Some(hit) = hit else { continue };
            if hits.len() >= most {
                return Ok((hits, true));
            }
            hits.push(hit);
        }
        Ok((hits, false))
    }

    fn fits(&self, wish: &Wish, row: RoomRow, counts: &HashMap<BareJid, usize>) -> Option<Hit> {
        let count = BareJid::new(&row.room).ok().and_then(|room| counts.get(&room).copied());
        let count = count.unwrap_or(0);
        if count < wish.least {
            return None;
        }
        // The configuration is read when the words are somewhere in what is known.
        let config = || Config::of_text(&row.config, &self.service.settings);
        let known = [row.room.as_str(), &row.name, &row.config].join("\n").to_lowercase();
        if !wish.words.iter().all(|word| known.contains(word)) {
            return None;
        }
        let config = config();
        let fits = |word: &String| {
            let has = |text: &str| text.to_lowercase().contains(word);
            wish.in_address && has(&row.room)
                || wish.in_name && has(&row.name)
                || wish.in_description && has(&config.description)
        };
        wish.words.iter().all(fits).then_some(Hit { count, config, row })
    }
}

impl Wish {
    fn read(form: &DataForm) -> Result<Self, StanzaError> {
        if form.form_type() != Some(PARAMS) {
            let text = format!("The form must have the FORM_TYPE {PARAMS}.");
            return Err(StanzaError::bad_request().text(text));
        }
        let flag = |var: &str, preset| form.flag(var).unwrap_or(preset);
        let text = form.value("q").map(str::trim).filter(|text| !text.is_empty());
        let words = match (text, flag("all", false)) {
            (Some(_), true) => {
                let text = "Rooms are found by words or all are listed, not both.";
                let vars = "<var>all</var><var>q</var>";
                let condition =
                    format!("<conflicting-fields xmlns='{ERROR}'>{vars}</conflicting-fields>");
                return Err(StanzaError::bad_request().text(text).with(condition));
            }
            (None, false) => {
                return Err(refused("no-search-conditions", "Say what to search for."));
            }
            (None, true) => Vec::new(),
            (Some(text), false) => words(text)?,
        };
        let types = form.values("types");
        if !types.is_empty() && !types.iter().any(|kind| kind == "xep-0045") {
            return Err(refused("no-search-conditions", "There are rooms of XEP-0045 only here."));
        }
        let by_users = match form.value("key").map(str::trim) {
            None | Some("" | BY_USERS) => true,
            Some(BY_ADDRESS) => false,
            // "If the sort key requested by the Searcher is not supported …"
            Some(_) => {
                let error = StanzaError::feature_not_implemented().kind(ErrorKind::Modify);
                let condition = format!("<invalid-sort-key xmlns='{ERROR}'/>");
                return Err(error.text("There is no such order.").with(condition));
            }
        };
        let least = form.value("min_users").and_then(|value| value.trim().parse().ok());
        Ok(Self {
            words,
            in_name: flag("sinname", true),
            in_description: flag("sindescription", true),
            // The form of the document calls it by the one name, its table by the other.
            in_address: flag("sinaddr", flag("sinaddress", true)),
            least: least.unwrap_or(0),
            by_users,
        })
    }
}

fn refused(condition: &str, text: &'static str) -> StanzaError {
    StanzaError::bad_request().text(text).with(format!("<{condition} xmlns='{ERROR}'/>"))
}

/// The words of a text. "If … the contents of the q field did not yield any term suitable for
/// search, the Search Service MUST reply with an <bad-request/>".
fn words(text: &str) -> Result<Vec<String>, StanzaError> {
    let words = text.split_whitespace().map(str::to_lowercase);
    let words: Vec<_> = words.filter(|word| word.chars().count() >= WORD_CHARS).collect();
    match words.len() {
        1..=WORDS => Ok(words),
        0 => Err(refused("invalid-search-terms", "Words to search for have two characters.")),
        _ => Err(refused("invalid-search-terms", "Search for eight words at most.")),
    }
}

/// "it MUST reply with an <resource-constraint/> error with type wait. The application defined
/// error condition <rate-limit/> MUST be included."
fn busy() -> StanzaError {
    StanzaError::resource_constraint()
        .kind(ErrorKind::Wait)
        .text("Others are searching; try again in a second.")
        .with(format!("<rate-limit xmlns='{ERROR}' retry-after='1'/>"))
}

/// §6: "the Search Service MUST include all fields it supports with their respective default
/// values."
fn template() -> DataForm {
    let flag = |var, label, value| Field::new(FieldType::Boolean, var).label(label).value(value);
    DataForm::new(FormType::Form)
        .about(PARAMS)
        .with(Field::new(FieldType::TextSingle, "q").label("Search for"))
        .with(flag("all", "Return all entries (ignore search terms)", "false"))
        .with(flag("sinname", "Search in name", "true"))
        .with(flag("sindescription", "Search in description", "true"))
        .with(flag("sinaddr", "Search in address", "true"))
        .with(
            Field::new(FieldType::TextSingle, "min_users")
                .label("Minimum number of users")
                .value("0"),
        )
        .with(
            Field::new(FieldType::ListMulti, "types")
                .label("Service types")
                .value("xep-0045")
                .option("xep-0045", "XEP-0045 Multi User Chats"),
        )
        .with(
            Field::new(FieldType::ListSingle, "key")
                .label("Sort results by")
                .value(BY_USERS)
                .option(BY_USERS, "Number of online users")
                .option(BY_ADDRESS, "Address"),
        )
}

/// §7.2
fn answer(hits: &[Hit], by_users: bool, is_more: bool) -> String {
    let mut out = format!("<result xmlns='{NS}'>");
    for hit in hits {
        item(&mut out, hit);
    }
    let place = |hit: &Hit| match by_users {
        true => format!("{} {}", hit.count, hit.row.room),
        false => hit.row.room.clone(),
    };
    let count = (!is_more).then_some(hits.len());
    let page = match (hits.first(), hits.last()) {
        (Some(first), Some(last)) => rsm::Page::new(place(first), place(last), None, None),
        _ => rsm::Page::empty(count),
    };
    out.push_str(&to_xml(&page));
    out.push_str("</result>");
    out
}

fn item(out: &mut String, hit: &Hit) {
    let Hit { row, config, count } = hit;
    out.push_str("<item");
    write::attribute(out, "address", &row.room);
    out.push('>');
    let local = row.room.split_once('@').map_or("", |(local, _)| local);
    element(out, "name", if row.name.is_empty() { local } else { &row.name });
    for (name, text) in [("description", &config.description), ("language", &config.language)] {
        if !text.is_empty() {
            element(out, name, text);
        }
    }
    element(out, "nusers", &count.to_string());
    element(out, "service-type", "xep-0045");
    let is_open = !config.is_members_only && config.password.is_none();
    element(out, "is-open", if is_open { "true" } else { "false" });
    let anonymity = match config.whois {
        Whois::Anyone => "{urn:xmpp:channel-search:0:anonymity}none",
        Whois::Moderators => "muc_semianonymous",
    };
    element(out, "anonymity-mode", anonymity);
    out.push_str("</item>");
}
