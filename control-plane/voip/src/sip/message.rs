//! A parsed SIP message and the typed view of its headers.

use super::address::NameAddr;
use super::flaw::Flaws;
use super::header::{HeaderName, Headers};
use super::method::Method;
use super::scan;
use super::typed::{RAck, Replaces, SessionExpires, SessionId, TargetDialog};
use super::via::Via;

/// The first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    Request {
        method: Method,
        /// The target as it came, without brackets.
        uri: &'a [u8],
    },
    Response {
        /// 100 to 699.
        code: u16,
        reason: &'a [u8],
    },
}

/// A SIP message that has all that an observer needs: Call-ID, CSeq, From, To and Via were there, once, and
/// readable. Borrows the bytes it was parsed from.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    pub start: StartLine<'a>,
    pub headers: Headers<'a>,
    /// The body: as long as Content-Length says, or as much of it as there is.
    pub body: &'a [u8],
    pub(super) method_name: &'a [u8],
    pub(super) call_id: &'a [u8],
    pub(super) cseq: (u32, Method),
    pub(super) from: NameAddr<'a>,
    pub(super) to: NameAddr<'a>,
    pub(super) top_via: Option<Via<'a>>,
    pub(super) content_length: Option<u32>,
    pub(super) flaws: Flaws,
}

impl<'a> Message<'a> {
    /// The method of the request; of a response, that of its CSeq.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.cseq.1
    }

    /// The name of [`Message::method`] as it came.
    #[must_use]
    pub const fn method_name(&self) -> &'a [u8] {
        self.method_name
    }

    /// Whether this is a request.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        matches!(self.start, StartLine::Request { .. })
    }

    /// The status code of a response.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Response { code, .. } => Some(code),
            StartLine::Request { .. } => None,
        }
    }

    /// Call-ID; never empty.
    #[must_use]
    pub const fn call_id(&self) -> &'a [u8] {
        self.call_id
    }

    /// CSeq: sequence number and method.
    #[must_use]
    pub const fn cseq(&self) -> (u32, Method) {
        self.cseq
    }

    /// From.
    #[must_use]
    pub const fn from(&self) -> &NameAddr<'a> {
        &self.from
    }

    /// To.
    #[must_use]
    pub const fn to(&self) -> &NameAddr<'a> {
        &self.to
    }

    /// The rules that this message breaks.
    #[must_use]
    pub const fn flaws(&self) -> Flaws {
        self.flaws
    }

    /// The values of all lines of this header, as they came: a list in one line is one value.
    pub fn header(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.headers.named(name)
    }

    /// The value of the first line of this header.
    #[must_use]
    pub fn header_first(&self, name: HeaderName) -> Option<&'a [u8]> {
        self.headers.first(name)
    }

    /// The values of the lines whose name, in any case, is `name`: for headers that are configured.
    pub fn header_by_name<'m>(&'m self, name: &'m [u8]) -> impl Iterator<Item = &'a [u8]> + 'm {
        self.headers
            .iter()
            .filter(move |header| header.raw_name.eq_ignore_ascii_case(name))
            .map(|header| header.value)
    }

    /// The members of a list header, over all its lines (RFC 3261 section 7.3.1).
    pub fn list(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.headers
            .named(name)
            .flat_map(|value| scan::split(value, b','))
            .filter(|v| !v.is_empty())
    }

    /// The addresses of a list header, over all its lines; what is no address is passed over.
    pub fn addresses(&self, name: HeaderName) -> impl Iterator<Item = NameAddr<'a>> + '_ {
        self.list(name).filter_map(NameAddr::parse)
    }

    /// The topmost Via; none where it is unreadable.
    #[must_use]
    pub const fn top_via(&self) -> Option<&Via<'a>> {
        self.top_via.as_ref()
    }

    /// Via values, topmost first; unreadable ones are passed over.
    pub fn via(&self) -> impl Iterator<Item = Via<'a>> + '_ {
        self.list(HeaderName::Via).filter_map(Via::parse)
    }

    /// The first Contact.
    #[must_use]
    pub fn contact(&self) -> Option<NameAddr<'a>> {
        self.addresses(HeaderName::Contact).next()
    }

    /// Content-Type as it came, with parameters.
    #[must_use]
    pub fn content_type(&self) -> Option<&'a [u8]> {
        self.header_first(HeaderName::ContentType)
    }

    /// Content-Length as it was written, whatever the length of the body.
    #[must_use]
    pub const fn content_length(&self) -> Option<u32> {
        self.content_length
    }

    /// RSeq: the number of a reliable provisional answer (RFC 3262 section 7.1).
    #[must_use]
    pub fn rseq(&self) -> Option<u32> {
        scan::decimal_u32(self.header_first(HeaderName::RSeq)?)
    }

    /// RAck of a PRACK.
    #[must_use]
    pub fn rack(&self) -> Option<RAck> {
        RAck::parse(self.header_first(HeaderName::RAck)?)
    }

    /// Session-Expires.
    #[must_use]
    pub fn session_expires(&self) -> Option<SessionExpires> {
        SessionExpires::parse(self.header_first(HeaderName::SessionExpires)?)
    }

    /// Replaces.
    #[must_use]
    pub fn replaces(&self) -> Option<Replaces> {
        Replaces::parse(self.header_first(HeaderName::Replaces)?)
    }

    /// Join: the dialog that this one shall make a conference with (RFC 3911).
    #[must_use]
    pub fn join(&self) -> Option<Replaces> {
        Replaces::parse(self.header_first(HeaderName::Join)?)
    }

    /// Target-Dialog.
    #[must_use]
    pub fn target_dialog(&self) -> Option<TargetDialog<'a>> {
        TargetDialog::parse(self.header_first(HeaderName::TargetDialog)?)
    }

    /// Session-ID.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        SessionId::parse(self.header_first(HeaderName::SessionId)?)
    }

    /// Refer-To.
    #[must_use]
    pub fn refer_to(&self) -> Option<NameAddr<'a>> {
        NameAddr::parse(self.header_first(HeaderName::ReferTo)?)
    }

    /// Referred-By.
    #[must_use]
    pub fn referred_by(&self) -> Option<NameAddr<'a>> {
        NameAddr::parse(self.header_first(HeaderName::ReferredBy)?)
    }

    /// The first P-Asserted-Identity (RFC 3325); [`Message::addresses`] gives all.
    #[must_use]
    pub fn p_asserted_identity(&self) -> Option<NameAddr<'a>> {
        self.addresses(HeaderName::PAssertedIdentity).next()
    }

    /// The topmost, that is the latest, Diversion (RFC 5806).
    #[must_use]
    pub fn diversion(&self) -> Option<NameAddr<'a>> {
        self.addresses(HeaderName::Diversion).next()
    }

    /// Whether Require or Supported names this option tag.
    #[must_use]
    pub fn has_option(&self, header: HeaderName, tag: &[u8]) -> bool {
        self.list(header).any(|option| option.eq_ignore_ascii_case(tag))
    }

    /// Whether the request carries credentials (the retry after 401 or 407).
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.header_first(HeaderName::Authorization).is_some()
            || self.header_first(HeaderName::ProxyAuthorization).is_some()
    }
}
