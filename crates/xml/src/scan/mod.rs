//! The scanner: checks one top-level element token by token, in place or as it trickles in.
//!
//! A token is a tag, a run of character data, a reference or a CDATA section. Character data is
//! checked as it comes; a tag is read once it is there in full, and until then only searched for
//! its end. So every byte is looked at a bounded number of times however small the pieces are,
//! and an error is found at the same byte however the input is cut.

mod build;
mod open;
mod tokens;

pub(crate) use build::{utf8, utf8_from};

use smallvec::SmallVec;

use crate::{
    Limits, XmlError,
    element::{Declaration, Extra, Span},
    namespaces::{Bound, Outer},
    tag::{self, Attributes, Stop},
};

/// What the next piece of the stream may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// A start tag, alone; an XML declaration may come first.
    Header { declaration: bool },
    /// A whole element, or the end tag of the root.
    Element,
    /// A whole element.
    Document { declaration: bool },
}

/// What was found; it ends at [`Scan::pos`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The bytes end before the piece does.
    More,
    Declaration,
    Header,
    Element,
    Footer,
}

/// An error, and how many bytes had to be seen to find it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) error: XmlError,
    pub(crate) seen: usize,
}

/// What surrounds the piece.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) outer: &'a Outer,
    pub(crate) limits: &'a Limits,
    /// The root's name as written.
    pub(crate) root: &'a str,
}

/// The state of scanning one piece. Positions count from its first byte.
#[derive(Debug)]
pub(crate) struct Scan {
    goal: Goal,
    /// Everything before is done.
    pos: usize,
    /// How far the unfinished tag at `pos` has been searched for its end.
    tail: usize,
    /// The quote in which that search stands, or 0.
    quote: u8,
    in_cdata: bool,
    /// A child cannot be forwarded as it is written.
    rewrite: bool,
    /// Children are read as if the content namespace were the default one around them.
    content_for_granted: bool,
    open: SmallVec<[Open; 6]>,
    bindings: SmallVec<[Binding; 4]>,
    attributes: Attributes,
    /// How many bindings come from outside the children.
    outside: usize,
    name_start: u32,
    name_len: u32,
    bound: Bound,
    children: SmallVec<[Span; 4]>,
    extra: Extra,
}

/// An element that has started and not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    name_start: u32,
    name_len: u32,
    /// How many bindings were in scope outside.
    bindings: u32,
    /// The default namespace inside.
    default: Bound,
    /// The innermost listed declaration of a prefix.
    declaration: u32,
}

/// A declaration in scope.
#[derive(Clone, Copy, Debug)]
struct Binding {
    prefix_start: u32,
    prefix_len: u32,
    bound: Bound,
}

impl Scan {
    #[inline]
    pub(crate) fn new(goal: Goal) -> Self {
        Self {
            goal,
            pos: 0,
            tail: 0,
            quote: 0,
            in_cdata: false,
            rewrite: false,
            content_for_granted: false,
            open: SmallVec::new(),
            bindings: SmallVec::new(),
            attributes: SmallVec::new(),
            outside: 0,
            name_start: 0,
            name_len: 0,
            bound: Bound::Nothing,
            children: SmallVec::new(),
            extra: Extra::default(),
        }
    }

    /// For text in which the children are in their final form already.
    pub(crate) fn take_content_for_granted(&mut self) {
        self.content_for_granted = true;
    }

    /// How many bytes are done.
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    /// Heap bytes of the tables.
    pub(crate) fn heap_bytes(&self) -> usize {
        fn spilled<A: smallvec::Array>(vec: &SmallVec<A>) -> usize {
            if vec.spilled() { vec.capacity() * size_of::<A::Item>() } else { 0 }
        }
        let decoded: usize = self.extra.decoded.iter().map(|name| name.len()).sum();
        spilled(&self.open)
            + spilled(&self.bindings)
            + spilled(&self.attributes)
            + spilled(&self.children)
            + self.extra.declarations.capacity() * size_of::<Declaration>()
            + self.extra.decoded.capacity() * size_of::<Box<str>>()
            + decoded
    }

    /// Goes on at [`Self::pos`]. `bytes` is the piece from its first byte on, longer than or as
    /// long as before.
    pub(crate) fn advance(&mut self, bytes: &[u8], around: Around<'_>) -> Result<Step, Fault> {
        loop {
            if self.in_cdata {
                if !self.cdata(bytes)? {
                    return Ok(Step::More);
                }
                continue;
            }
            let Some(&first) = bytes.get(self.pos) else { return Ok(Step::More) };
            if first != b'<' {
                if !self.text(bytes)? {
                    return Ok(Step::More);
                }
                continue;
            }
            // The end of this tag has been looked for before, so look on from there.
            if self.tail > self.pos && self.find_tail(bytes).is_none() {
                return Ok(Step::More);
            }
            let stop = match self.markup(bytes, around) {
                Ok(None) => continue,
                Ok(Some(step)) => return Ok(step),
                Err(Found::Fault(fault)) => return Err(fault),
                Err(Found::Stop(stop)) => stop,
            };
            let Some(seen) = self.find_tail(bytes) else { return Ok(Step::More) };
            let error = match stop {
                Stop::Bad(error) => error,
                Stop::More => XmlError::NotWellFormed("a tag inside a tag"),
            };
            return Err(Fault { error, seen });
        }
    }

    /// One piece of markup.
    fn markup(&mut self, bytes: &[u8], around: Around<'_>) -> Result<Option<Step>, Found> {
        match tag::byte(bytes, self.pos + 1) {
            Err(_) => Ok(Some(Step::More)),
            Ok(b'/') => Ok(self.end_tag(bytes, around)?),
            Ok(b'!') => Ok(self.bang(bytes)?),
            Ok(b'?') => Ok(self.question(bytes)?),
            Ok(_) => Ok(self.start_tag(bytes, around)?),
        }
    }

    fn start_tag(&mut self, bytes: &[u8], around: Around<'_>) -> Result<Option<Step>, Stop> {
        let tag = tag::start_tag(bytes, self.pos, around.limits, &mut self.attributes)?;
        self.enter(bytes, &tag, around)?;
        self.step_over_tag(tag.end);
        if let Goal::Header { .. } = self.goal {
            return Ok(Some(Step::Header));
        }
        Ok(if tag.is_empty { self.leave() } else { None })
    }

    fn step_over_tag(&mut self, end: usize) {
        self.pos = end;
        self.tail = 0;
        self.quote = 0;
    }

    /// Closes the innermost element, which ends at `pos`.
    fn leave(&mut self) -> Option<Step> {
        let open = self.open.pop().expect("an element is open");
        self.bindings.truncate(open.bindings as usize);
        match self.open.len() {
            0 => Some(Step::Element),
            1 => {
                let child = self.children.last_mut().expect("the open child is listed");
                child.end = self.pos as u32;
                None
            }
            _ => None,
        }
    }
}

/// How looking at markup ended.
enum Found {
    /// Inside a tag: where it ends is to be found out.
    Stop(Stop),
    /// At a known place.
    Fault(Fault),
}

impl From<Stop> for Found {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Fault> for Found {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
