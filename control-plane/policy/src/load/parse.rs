//! Text to document. A file that is as it should be is read at one go; of one that is not, every fault is found by
//! taking away what was refused and reading the rest again.

use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};

use super::fault::Findings;
use super::{Notation, Source};
use crate::document::PolicyFile;

/// The document, as far as it could be read.
pub fn document(source: &Source<'_>, findings: &mut Findings) -> PolicyFile {
    // RFC 8259 section 8.1: a byte order mark may be ignored.
    let source = &Source { text: source.text.trim_start_matches('\u{feff}'), ..*source };
    if Notation::of(source.name) == Notation::Json
        && let Ok(document) = serde_json::from_str(source.text)
    {
        return document;
    }
    match value(source) {
        Ok(value) => piece_by_piece(source.name, value, findings),
        Err(problem) => {
            findings.add(source.name, "", problem);
            PolicyFile::default()
        }
    }
}

fn value(source: &Source<'_>) -> Result<Value, NotReadable> {
    match Notation::of(source.name) {
        Notation::Json => serde_json::from_str(source.text).map_err(NotReadable::Json),
        Notation::Toml => toml::from_str(source.text).map_err(NotReadable::Toml),
    }
}

/// Why a file is neither JSON nor TOML.
#[derive(Debug, thiserror::Error)]
enum NotReadable {
    #[error("not JSON: {0}")]
    Json(serde_json::Error),
    #[error("not TOML: {}", one_line(.0))]
    Toml(toml::de::Error),
}

fn one_line(error: &toml::de::Error) -> String {
    error.to_string().trim().replace('\n', " ")
}

fn piece_by_piece(file: &str, mut value: Value, findings: &mut Findings) -> PolicyFile {
    loop {
        let error = match serde_path_to_error::deserialize::<_, PolicyFile>(&value) {
            Ok(document) => return document,
            Err(error) => error,
        };
        let problem = error.inner().to_string();
        let path = place(error.path(), &problem);
        findings.add(file, written(&path), &problem);
        if findings.is_full() || !take_away(&mut value, &path) {
            return PolicyFile::default();
        }
    }
}

/// A step from a value to one in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Where what was refused lies: for a key that nobody knows, the key itself.
fn place(path: &Path, problem: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Enum { variant } => Some(Step::Key(variant.clone())),
            Segment::Unknown => None,
        })
        .collect();
    if let Some(key) =
        problem.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
        && steps.last() != Some(&Step::Key(key.to_owned()))
    {
        steps.push(Step::Key(key.to_owned()));
    }
    steps
}

fn written(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Index(index) => text += &format!("[{index}]"),
            Step::Key(key) if text.is_empty() => text += key,
            Step::Key(key) => text += &format!(".{key}"),
        }
    }
    text
}

/// Takes the value at `path` away. An element of a list gives way to an empty one, so that those behind it keep
/// their places. Returns whether anything changed.
fn take_away(value: &mut Value, path: &[Step]) -> bool {
    let Some((last, above)) = path.split_last() else { return false };
    let mut at = value;
    for step in above {
        let next = match step {
            Step::Key(key) => at.get_mut(key),
            Step::Index(index) => at.get_mut(index),
        };
        let Some(next) = next else { return false };
        at = next;
    }
    match (last, at) {
        (Step::Key(key), Value::Object(object)) => object.remove(key).is_some(),
        (Step::Index(index), Value::Array(list)) if *index < list.len() => {
            let (text, object) = (Value::String(String::new()), Value::Object(Map::new()));
            if list[*index] == object {
                list[*index] = text;
            } else if list[*index] == text {
                list.truncate(*index);
            } else {
                list[*index] = object;
            }
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(name: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        document(&Source { name, text }, &mut findings);
        let faults = findings.none().err().map(|faults| faults.faults).unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }

    /// POL-1: every fault is named with its path, whatever else is wrong.
    #[test]
    fn every_fault_is_named() {
        let text = r#"{ "tenants": [
            { "id": "a", "colour": 1, "users": [
                { "id": "u", "record": "sometimes", "call_recording": { "inbound": { "onnet": { "enabeld": true, "time_limit": "long" } } } },
                "nobody", { "id": 7, "numbers": [1, "201", 2] } ] },
            { "id": "b", "kazoo": { "anything": 1, "call_recording": { "account": { "inbond": {} } } } } ] }"#;
        let found = faults("f.json", text);
        for part in [
            "f.json: tenants[0].colour: unknown field",
            "tenants[0].users[0].record: unknown variant `sometimes`",
            "tenants[0].users[0].call_recording.inbound.onnet.enabeld: unknown field",
            "tenants[0].users[0].call_recording.inbound.onnet.time_limit: invalid type",
            "tenants[0].users[1]: invalid type",
            "tenants[0].users[2].id: invalid type",
            "tenants[0].users[2].numbers[0]: invalid type",
            "tenants[0].users[2].numbers[2]: invalid type",
            "tenants[1].kazoo.call_recording.account.inbond: unknown field",
        ] {
            assert!(found.iter().any(|fault| fault.contains(part)), "{part} is not in {found:#?}");
        }
        assert_eq!(found.len(), 9, "{found:#?}");
    }

    #[test]
    fn text_that_is_neither_is_refused() {
        assert!(
            faults("f.json", "{ \"tenants\": [").iter().any(|fault| fault.contains("not JSON"))
        );
        assert!(faults("f.toml", "tenants = [").iter().any(|fault| fault.contains("not TOML")));
        assert_eq!(faults("f.toml", "[[tenants]]\nid = \"a\"\ncatch_all = true\n"), [""; 0]);
        assert!(faults("f.toml", "[[tenants]]\nidd = \"a\"\n")[0].contains("tenants[0].idd"));
    }
}
