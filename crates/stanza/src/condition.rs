//! The defined conditions of stanza errors and their types.

/// What the sender may do about the error (RFC 6120 §8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry; the error cannot be remedied.
    Cancel,
    /// Proceed; the condition was only a warning.
    Continue,
    /// Retry after changing the data sent.
    Modify,
    /// Retry after waiting; the error is temporary.
    Wait,
}

impl ErrorKind {
    /// The value of `type`.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Auth => "auth",
            ErrorKind::Cancel => "cancel",
            ErrorKind::Continue => "continue",
            ErrorKind::Modify => "modify",
            ErrorKind::Wait => "wait",
        }
    }

    /// `None` when RFC 6120 §8.3.2 knows no such type.
    pub fn read(name: &str) -> Option<ErrorKind> {
        Some(match name {
            "auth" => ErrorKind::Auth,
            "cancel" => ErrorKind::Cancel,
            "continue" => ErrorKind::Continue,
            "modify" => ErrorKind::Modify,
            "wait" => ErrorKind::Wait,
            _ => return None,
        })
    }
}

/// Declares the conditions once: variant, constructor, element name, default type, meaning.
macro_rules! conditions {
    ($($variant:ident $constructor:ident $name:literal $kind:ident $doc:literal;)*) => {
        /// The defined conditions (RFC 6120 §8.3.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Condition {
            $(#[doc = $doc] $variant,)*
        }

        impl Condition {
            /// Every condition, in the order of RFC 6120 §8.3.3.
            pub const ALL: &'static [Condition] = &[$(Condition::$variant,)*];

            /// The name of its element.
            pub fn name(self) -> &'static str {
                match self { $(Condition::$variant => $name,)* }
            }

            /// The type that RFC 6120 §8.3.3 associates with it (the first, where it names two).
            pub fn kind(self) -> ErrorKind {
                match self { $(Condition::$variant => ErrorKind::$kind,)* }
            }

            /// `None` when there is no such condition.
            pub fn read(name: &str) -> Option<Condition> {
                match name {
                    $($name => Some(Condition::$variant),)*
                    _ => None,
                }
            }
        }

        /// One constructor for each condition, with the type that RFC 6120 §8.3.3 gives it.
        impl $crate::StanzaError {
            $(#[doc = $doc] pub fn $constructor() -> Self { Self::new(Condition::$variant) })*
        }
    };
}

conditions! {
    BadRequest bad_request "bad-request" Modify
        "The XML cannot be processed: it does not conform to the schema it is meant for.";
    Conflict conflict "conflict" Cancel
        "A resource or session with the same name or address exists already.";
    FeatureNotImplemented feature_not_implemented "feature-not-implemented" Cancel
        "The feature is not implemented and so the stanza cannot be processed.";
    Forbidden forbidden "forbidden" Auth
        "The sender lacks the permission for what it asks.";
    Gone gone "gone" Cancel
        "The recipient can no longer be contacted here; `uri` may say where it is.";
    InternalServerError internal_server_error "internal-server-error" Cancel
        "The server has a misconfiguration or another internal error.";
    ItemNotFound item_not_found "item-not-found" Cancel
        "The addressed address or the requested item cannot be found.";
    JidMalformed jid_malformed "jid-malformed" Modify
        "An address, here or in the stanza's start tag, violates RFC 7622.";
    NotAcceptable not_acceptable "not-acceptable" Modify
        "The request is understood but breaks criteria of the recipient.";
    NotAllowed not_allowed "not-allowed" Cancel
        "No entity is allowed to do this here.";
    NotAuthorized not_authorized "not-authorized" Auth
        "The sender needs to provide credentials first, or gave wrong ones.";
    PolicyViolation policy_violation "policy-violation" Modify
        "The stanza breaks a local policy of the service.";
    RecipientUnavailable recipient_unavailable "recipient-unavailable" Wait
        "The intended recipient is temporarily unavailable.";
    Redirect redirect "redirect" Modify
        "Requests for this go to another entity, which `uri` names.";
    RegistrationRequired registration_required "registration-required" Auth
        "The sender must register (for a room: become a member) first.";
    RemoteServerNotFound remote_server_not_found "remote-server-not-found" Cancel
        "The remote server of the address does not exist or cannot be resolved.";
    RemoteServerTimeout remote_server_timeout "remote-server-timeout" Wait
        "The remote server could not be contacted within a reasonable time.";
    ResourceConstraint resource_constraint "resource-constraint" Wait
        "The server is too busy or lacks the resources to serve the request.";
    ServiceUnavailable service_unavailable "service-unavailable" Cancel
        "The service is not provided here; also what does not disclose an account.";
    SubscriptionRequired subscription_required "subscription-required" Auth
        "The sender needs a presence subscription first.";
    UndefinedCondition undefined_condition "undefined-condition" Cancel
        "None of the others; goes with an application condition.";
    UnexpectedRequest unexpected_request "unexpected-request" Wait
        "The request is out of order, or was not expected at this time.";
}
