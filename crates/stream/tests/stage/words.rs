//! What clients of the extensible SASL profile (XEP-0388) say first.

pub(crate) const SASL2_PLAIN: &str = "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
    <initial-response>AGp1bGlldAByMG0zMG15cjBtMzA=</initial-response></authenticate>";
/// The same with a session to take up again, or else to begin.
pub(crate) const SASL2_RESUME: &str = "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
    <initial-response>AGp1bGlldAByMG0zMG15cjBtMzA=</initial-response>\
    <resume xmlns='urn:xmpp:sm:3' previd='sm-1' h='0'/><bind xmlns='urn:xmpp:bind:0'>\
    <enable xmlns='urn:xmpp:sm:3' resume='1'/></bind></authenticate>";
pub(crate) const SASL2_BIND: &str = "<authenticate xmlns='urn:xmpp:sasl:2' \
    mechanism='SCRAM-SHA-1'><initial-response>biwsbj1qdWxpZXQscj14</initial-response>\
    <bind xmlns='urn:xmpp:bind:0'><tag>full</tag></bind></authenticate>";
