//! What a stream wants written.

/// Text to write, with the marks that a WebSocket needs to cut it into messages.
///
/// On TCP only [`MarkKind::Close`] may be looked at (the connection ends there); the text goes out
/// as it is. On a WebSocket every mark ends one message or stands for one control frame.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Everything to write, in order.
    pub text: String,
    /// Where messages end, by ascending `end`.
    pub marks: Vec<Mark>,
}

/// One border in an [`Outbox`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Offset in `Outbox::text` just behind the message, or where the control frame belongs.
    pub end: usize,
    /// What ends or stands here.
    pub kind: MarkKind,
}

/// What a [`Mark`] stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// The bytes since the mark before are one text message.
    Text,
    /// A WebSocket Ping frame.
    Ping,
    /// A WebSocket Close frame with this status code; nothing follows it.
    Close(u16),
}

impl Outbox {
    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.marks.is_empty()
    }

    /// Forgets what has been written and gives the memory back: an idle stream holds no buffer.
    pub fn clear(&mut self) {
        *self = Outbox::default();
    }
}
