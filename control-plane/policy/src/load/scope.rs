//! Where in a document the check is; written out only where there is something to tell.

use std::fmt;

use super::fault::Findings;

/// A place in a file.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    file: &'a str,
    above: Option<&'a Scope<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    File,
    Key(&'a str),
    Element(&'a str, usize),
}

impl<'a> Scope<'a> {
    pub const fn file(file: &'a str) -> Self {
        Self { file, above: None, step: Step::File }
    }

    /// The value of `key`.
    pub const fn key(&'a self, key: &'a str) -> Scope<'a> {
        Scope { file: self.file, above: Some(self), step: Step::Key(key) }
    }

    /// An element of the list `key`.
    pub const fn element(&'a self, key: &'a str, index: usize) -> Scope<'a> {
        Scope { file: self.file, above: Some(self), step: Step::Element(key, index) }
    }

    pub fn fault(&self, findings: &mut Findings, problem: impl fmt::Display) {
        findings.add(self.file, self, problem);
    }
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(above) = self.above else { return Ok(()) };
        fmt::Display::fmt(above, f)?;
        if above.above.is_some() {
            f.write_str(".")?;
        }
        match self.step {
            Step::File => Ok(()),
            Step::Key(key) => f.write_str(key),
            Step::Element(key, index) => write!(f, "{key}[{index}]"),
        }
    }
}
