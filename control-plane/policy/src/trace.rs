//! Why a call is recorded or not: a tree that a supervisor understands.

use std::fmt;

use serde::Serialize;

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    Yes,
    No,
    /// It says how things are, and decides nothing.
    Note,
}

/// A step with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    pub result: Mark,
    pub text: String,
    pub because: Vec<Node>,
}

impl Node {
    /// The tree, a line each, indented.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.write(0, &mut lines);
        lines
    }

    /// The tree that [`Node::lines`] wrote; none where there is no line.
    #[must_use]
    pub fn from_lines(lines: &[String]) -> Option<Self> {
        let (first, rest) = lines.split_first()?;
        let depth = depth_of(first);
        let text = first.trim_start();
        let (result, text) = match (text.strip_prefix("yes: "), text.strip_prefix("no: ")) {
            (Some(text), _) => (Mark::Yes, text),
            (_, Some(text)) => (Mark::No, text),
            _ => (Mark::Note, text),
        };
        let below = rest.chunk_by(|_, next| depth_of(next) > depth + 1);
        let because = below.filter_map(Self::from_lines).collect();
        Some(Self { result, text: text.to_owned(), because })
    }

    fn write(&self, depth: usize, lines: &mut Vec<String>) {
        let sign = match self.result {
            Mark::Yes => "yes: ",
            Mark::No => "no: ",
            Mark::Note => "",
        };
        lines.push(format!("{:indent$}{sign}{}", "", self.text, indent = 2 * depth));
        self.because.iter().for_each(|node| node.write(depth + 1, lines));
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn depth_of(line: &str) -> usize {
    (line.len() - line.trim_start().len()) / 2
}

/// Who is told how a decision is made. The same code decides whether anybody listens or not.
pub(crate) trait Tell {
    fn say(&mut self, result: Mark, text: impl FnOnce() -> String);
    /// What is said until [`Tell::close`] stands below `text`.
    fn open(&mut self, text: impl FnOnce() -> String);
    fn close(&mut self, result: Mark);

    fn note(&mut self, text: impl FnOnce() -> String) {
        self.say(Mark::Note, text);
    }
}

/// Nobody listens.
#[derive(Debug)]
pub(crate) struct Silent;

impl Tell for Silent {
    fn say(&mut self, _: Mark, _: impl FnOnce() -> String) {}
    fn open(&mut self, _: impl FnOnce() -> String) {}
    fn close(&mut self, _: Mark) {}
}

/// Everything is kept.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    done: Vec<Node>,
    /// Steps that are not closed, with what came before each.
    open: Vec<(Vec<Node>, String)>,
}

impl Tell for Tree {
    fn say(&mut self, result: Mark, text: impl FnOnce() -> String) {
        self.done.push(Node { result, text: text(), because: Vec::new() });
    }

    fn open(&mut self, text: impl FnOnce() -> String) {
        self.open.push((std::mem::take(&mut self.done), text()));
    }

    fn close(&mut self, result: Mark) {
        let Some((before, text)) = self.open.pop() else { return };
        let because = std::mem::replace(&mut self.done, before);
        self.done.push(Node { result, text, because });
    }
}

impl Tree {
    /// Everything that was said, below `text`.
    pub fn below(mut self, result: Mark, text: String) -> Node {
        while !self.open.is_empty() {
            self.close(Mark::Note);
        }
        Node { result, text, because: self.done }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_stand_below_what_they_decide() {
        let mut tree = Tree::default();
        tree.note(|| "a".to_owned());
        tree.open(|| "b".to_owned());
        tree.say(Mark::No, || "c".to_owned());
        tree.close(Mark::Yes);
        tree.say(Mark::No, || "d".to_owned());
        let node = tree.below(Mark::Yes, "all".to_owned());
        assert_eq!(node.lines(), ["yes: all", "  a", "  yes: b", "    no: c", "  no: d"]);
        assert_eq!(Node::from_lines(&node.lines()), Some(node));
        assert_eq!(Node::from_lines(&[]), None);
    }
}
