//! Rules that a usable message breaks: a closed list, each member a counter.

/// A defect that does not keep an observer from using the message (RFC 4475 section 3.1.2 has most of them).
/// `flaw as usize` indexes a counter and [`Flaw::ALL`] names them in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Flaw {
    /// Lines end in LF without CR.
    BareLf,
    /// Extra white space in the first line (RFC 4475 sections 3.1.2.8, 3.1.2.9).
    StartLineSpace,
    /// The request URI is in angle brackets, holds white space or carries headers (RFC 4475 3.1.2.7, 3.1.2.10).
    RequestUri,
    /// A header line without a colon or with a name that is no token; it was passed over.
    HeaderLine,
    /// The message ends before the empty line that closes the headers.
    HeadersTruncated,
    /// A header that may be there once is there again with the same value.
    DuplicateHeader,
    /// From or To: unbalanced quotes (RFC 4475 section 3.1.2.6).
    AddressQuote,
    /// From or To: white space inside the brackets, or characters in the display name that need quotes
    /// (RFC 4475 sections 3.1.2.14, 3.1.2.15).
    AddressSyntax,
    /// Contact: an address that needs brackets and has none, or empty parameters (RFC 4475 3.1.2.1, 3.1.2.13).
    ContactSyntax,
    /// Via: empty values or parameters (RFC 4475 section 3.1.2.1).
    ViaSyntax,
    /// Via: a branch that is the magic cookie alone (RFC 4475 section 3.2.1).
    ViaBranch,
    /// Date is not in GMT (RFC 4475 section 3.1.2.12).
    Date,
    /// A body without Content-Type (RFC 3261 section 20.15).
    MissingContentType,
    /// The body is shorter than Content-Length says (RFC 4475 section 3.1.2.2).
    BodyTruncated,
    /// There are bytes after the body that Content-Length announces; they were passed over (RFC 3261 section 18.3).
    TrailingBytes,
}

impl Flaw {
    /// Every flaw, in the order of its index.
    pub const ALL: [Self; 15] = [
        Self::BareLf,
        Self::StartLineSpace,
        Self::RequestUri,
        Self::HeaderLine,
        Self::HeadersTruncated,
        Self::DuplicateHeader,
        Self::AddressQuote,
        Self::AddressSyntax,
        Self::ContactSyntax,
        Self::ViaSyntax,
        Self::ViaBranch,
        Self::Date,
        Self::MissingContentType,
        Self::BodyTruncated,
        Self::TrailingBytes,
    ];

    /// The name of the flaw as a metric label.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::BareLf => "bare_lf",
            Self::StartLineSpace => "start_line_space",
            Self::RequestUri => "request_uri",
            Self::HeaderLine => "header_line",
            Self::HeadersTruncated => "headers_truncated",
            Self::DuplicateHeader => "duplicate_header",
            Self::AddressQuote => "address_quote",
            Self::AddressSyntax => "address_syntax",
            Self::ContactSyntax => "contact_syntax",
            Self::ViaSyntax => "via_syntax",
            Self::ViaBranch => "via_branch",
            Self::Date => "date",
            Self::MissingContentType => "missing_content_type",
            Self::BodyTruncated => "body_truncated",
            Self::TrailingBytes => "trailing_bytes",
        }
    }

    /// The position in [`Flaw::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// The flaws of one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flaws(u32);

const _: () = assert!(Flaw::ALL.len() <= 32);

impl Flaws {
    /// Whether the message broke no rule that is looked at.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this flaw is there.
    #[must_use]
    pub const fn contains(self, flaw: Flaw) -> bool {
        self.0 & (1 << flaw as u32) != 0
    }

    /// The flaws that are there, in the order of [`Flaw::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Flaw> {
        let some = if self.is_empty() { &[][..] } else { &Flaw::ALL };
        some.iter().copied().filter(move |flaw| self.contains(*flaw))
    }

    pub(crate) const fn insert(&mut self, flaw: Flaw) {
        self.0 |= 1 << flaw as u32;
    }

    pub(crate) const fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }
}

#[cfg(test)]
mod tests {
    use super::{Flaw, Flaws};

    // OPS-1: each flaw has its own counter and its own label.
    #[test]
    fn all_lists_each_flaw_at_its_index() {
        for (index, flaw) in Flaw::ALL.iter().enumerate() {
            assert_eq!(flaw.index(), index);
            assert_eq!(Flaw::ALL.iter().filter(|f| f.kind() == flaw.kind()).count(), 1);
        }
        let mut flaws = Flaws::default();
        assert!(flaws.is_empty());
        flaws.insert(Flaw::Date);
        assert_eq!(flaws.iter().collect::<Vec<_>>(), [Flaw::Date]);
    }
}
