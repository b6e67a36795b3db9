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
    }
}
