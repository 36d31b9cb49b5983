//! Cutting a byte stream into its header, its elements and its footer.

use std::sync::{Arc, LazyLock};

use crate::{
    Element, Limits, XmlError,
    chars::is_space,
    namespaces::{Bound, Namespace, Outer},
    scan::{Around, Fault, Goal, Scan, Step, utf8, utf8_from},
};

/// Bytes added to an unfinished piece at a time, so that what follows it is not copied in vain.
const CHUNK_BYTES: usize = 4096;

/// What a stream consists of.
#[derive(Clone, Debug)]
pub enum Event {
    /// The start tag of the root.
    Header(Element),
    /// A child of the root.
    Element(Element),
    /// The end tag of the root.
    Footer,
    /// White space between elements (RFC 6120 §4.6.1, keepalive); as much as is there.
    Whitespace,
}

/// Cuts a stream of bytes, checking that it is XML as RFC 6120 §11 restricts it.
///
/// While nothing is unfinished it holds no memory but the declarations of the header.
#[derive(Debug)]
pub struct Splitter {
    limits: Limits,
    root: Arc<Root>,
    partial: Option<Box<Partial>>,
    state: State,
}

const _: () = assert!(size_of::<Splitter>() <= 112);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    ExpectDeclaration,
    ExpectHeader,
    ExpectElement,
    /// The root was written `<root/>`.
    ExpectNoFooter,
    Ended,
    Dead(XmlError),
}

/// What the header says about all that follows.
#[derive(Debug, PartialEq)]
struct Root {
    /// The root's name as written.
    name: Box<str>,
    outer: Outer,
}

/// The roots of nearly all streams of clients, which therefore share them.
static USUAL: LazyLock<[Arc<Root>; 2]> = LazyLock::new(|| {
    let client = || ("".into(), Namespace::new("jabber:client"));
    let stream = || ("stream".into(), Namespace::new("http://etherx.jabber.org/streams"));
    [vec![client(), stream()], vec![stream(), client()]].map(|bindings| {
        let content = Namespace::new("jabber:client");
        let outer = Outer { content, default: Bound::Content, bindings };
        Arc::new(Root { name: "stream:stream".into(), outer })
    })
});

impl Root {
    fn shared(self) -> Arc<Self> {
        let usual = USUAL.iter().find(|usual| ***usual == self);
        usual.map_or_else(|| Arc::new(self), Arc::clone)
    }
}

/// A piece whose end has not arrived.
#[derive(Debug)]
struct Partial {
    bytes: Vec<u8>,
    scan: Scan,
    /// How many of the bytes are known to be UTF-8.
    utf8: usize,
}

impl Splitter {
    /// For a stream whose root's start tag is the header and whose children are the elements.
    /// `content_ns` is the namespace whose elements are written without `xmlns`.
    pub fn stream(limits: Limits, content_ns: &str) -> Self {
        Self {
            limits,
            root: Arc::new(Root { name: Box::default(), outer: Outer::nothing(content_ns) }),
            partial: None,
            state: State::ExpectDeclaration,
        }
    }

    /// Sets the limits from the next call of [`Self::next`] on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes from the front of `input` up to the end of the next event. `None`: the input is used
    /// up, and what is unfinished is kept inside, bounded by the limits.
    ///
    /// After an error every call gives the same error.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Event>, XmlError> {
        let event = self.step(input);
        if let Err(error) = event {
            self.state = State::Dead(error);
            self.partial = None;
        }
        event
    }

    /// Heap bytes held for an unfinished element.
    pub fn held(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| {
            size_of::<Partial>() + partial.bytes.capacity() + partial.scan.heap_bytes()
        })
    }

    #[inline]
    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Event>, XmlError> {
        loop {
            match self.state {
                State::Dead(error) => return Err(error),
                State::ExpectNoFooter => {
                    self.state = State::Ended;
                    return Ok(Some(Event::Footer));
                }
                _ => {}
            }
            if let Some(partial) = self.partial.take() {
                match self.resume(partial, input)? {
                    Some(event) => return Ok(event),
                    None => continue,
                }
            }
            if input.is_empty() {
                return Ok(None);
            }
            let spaces = input.iter().take_while(|&&byte| is_space(byte)).count();
            if spaces > 0 {
                *input = &input[spaces..];
                // XML 1.0 §2.8: nothing may stand before the declaration.
                if self.state == State::ExpectDeclaration {
                    self.state = State::ExpectHeader;
                }
                return Ok(Some(Event::Whitespace));
            }
            if self.state == State::Ended {
                return Err(XmlError::NotWellFormed("something follows the end of the root"));
            }
            if let Some(event) = self.in_place(input)? {
                return Ok(event);
            }
        }
    }

    /// Scans a new piece where it lies. `None`: it was one that makes no event.
    #[inline]
    fn in_place(&mut self, input: &mut &[u8]) -> Result<Option<Option<Event>>, XmlError> {
        let mut scan = Scan::new(match self.state {
            State::ExpectDeclaration => Goal::Header { declaration: true },
            State::ExpectHeader => Goal::Header { declaration: false },
            _ => Goal::Element,
        });
        let bytes = *input;
        let window = &bytes[..bytes.len().min(self.limits.bytes())];
        let step = self.advance(&mut scan, window)?;
        if step != Step::More {
            *input = &bytes[scan.pos()..];
            return self.finish(step, &mut scan, bytes);
        }
        let utf8 = utf8_from(window, 0)?;
        self.check_room(window.len())?;
        *input = &[];
        self.partial = Some(Box::new(Partial { bytes: window.to_vec(), scan, utf8 }));
        Ok(Some(None))
    }

    /// Goes on with an unfinished piece.
    fn resume(
        &mut self,
        mut partial: Box<Partial>,
        input: &mut &[u8],
    ) -> Result<Option<Option<Event>>, XmlError> {
        let limit = self.limits.bytes();
        while !input.is_empty() {
            let before = partial.bytes.len();
            self.check_room(before)?;
            let len = input.len().min(CHUNK_BYTES).min(limit - before);
            reserve(&mut partial.bytes, len, limit);
            partial.bytes.extend_from_slice(&input[..len]);
            let step = self.advance(&mut partial.scan, &partial.bytes)?;
            if step != Step::More {
                let taken = partial.scan.pos() - before;
                *input = &input[taken..];
                return self.finish(step, &mut partial.scan, &partial.bytes);
            }
            partial.utf8 = utf8_from(&partial.bytes, partial.utf8)?;
            self.check_room(partial.bytes.len())?;
            *input = &input[len..];
        }
        self.partial = Some(partial);
        Ok(Some(None))
    }

    #[inline]
    fn advance(&self, scan: &mut Scan, bytes: &[u8]) -> Result<Step, XmlError> {
        let Root { name, outer } = &*self.root;
        let around = Around { outer, limits: &self.limits, root: name };
        scan.advance(bytes, around).map_err(|Fault { error, seen }| {
            // Whatever is wrong, bytes before it that are not UTF-8 were wrong first.
            utf8_from(&bytes[..seen], 0).err().unwrap_or(error)
        })
    }

    /// An unfinished piece of `len` bytes needs one more at least.
    fn check_room(&self, len: usize) -> Result<(), XmlError> {
        if len >= self.limits.bytes() {
            return Err(XmlError::TooLarge("an element is too long"));
        }
        Ok(())
    }

    /// `None`: no event.
    #[inline]
    fn finish(
        &mut self,
        step: Step,
        scan: &mut Scan,
        bytes: &[u8],
    ) -> Result<Option<Option<Event>>, XmlError> {
        let event = match step {
            Step::More | Step::Declaration => {
                self.state = State::ExpectHeader;
                return Ok(None);
            }
            Step::Element => {
                Event::Element(scan.take_element(bytes, &self.root.outer, &self.limits)?)
            }
            Step::Footer => {
                self.state = State::Ended;
                Event::Footer
            }
            Step::Header => Event::Header(self.enter_root(scan, bytes)?),
        };
        Ok(Some(Some(event)))
    }

    fn enter_root(&mut self, scan: &mut Scan, bytes: &[u8]) -> Result<Element, XmlError> {
        let tag = utf8(&bytes[..scan.pos()])?;
        let name = scan.root_name(tag).into();
        let is_empty = tag.ends_with("/>");
        self.state = if is_empty { State::ExpectNoFooter } else { State::ExpectElement };
        let outer = scan.to_outer(bytes, &self.root.outer);
        let header = scan.take_element(bytes, &self.root.outer, &self.limits)?;
        self.root = Root { name, outer }.shared();
        Ok(header)
    }
}

/// Doubles like `Vec` does, but never beyond `limit`.
fn reserve(bytes: &mut Vec<u8>, more: usize, limit: usize) {
    let needed = bytes.len() + more;
    if needed > bytes.capacity() {
        let wanted = (bytes.capacity() * 2).max(needed).min(limit);
        bytes.reserve_exact(wanted - bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(declarations: &str) -> Splitter {
        let mut splitter = Splitter::stream(Limits::default(), "jabber:client");
        let header = format!("<stream:stream {declarations} to='capulet.example'>");
        splitter.next(&mut header.as_bytes()).unwrap();
        splitter
    }

    #[test]
    fn streams_share_what_nearly_all_declare() {
        const CLIENT: &str = "xmlns='jabber:client'";
        const STREAM: &str = "xmlns:stream='http://etherx.jabber.org/streams'";
        for usual in [format!("{CLIENT} {STREAM}"), format!("{STREAM} version='1.0' {CLIENT}")] {
            assert!(Arc::ptr_eq(&begun(&usual).root, &begun(&usual).root), "{usual}");
        }
        let unusual = format!("{CLIENT} {STREAM} xmlns:p='urn:p'");
        assert!(!Arc::ptr_eq(&begun(&unusual).root, &begun(&unusual).root));
    }
}
