//! Names of files and folders in the archive's layout (REC-5).
//!
//! `recordings/recordin|recordout/<yyyy>/<mm>/<dd>/<yyyymmdd-hhmmss>_<from>_<to>_<id8>.<ext>`, in
//! UTC. Parties come from SIP and are hostile: nothing of them but letters, digits, `+`, `-` and `.`
//! reaches a name, and no more than [`NAME_PART_BYTES_MAX`] of that.

use time::OffsetDateTime;

use crate::facts::{CallFacts, Direction};
use crate::limits::{NAME_PART_BYTES_MAX, NS_PER_S};
use crate::options::Format;

/// Characters of the recording's id that are part of the name.
const ID_CHARACTERS: usize = 8;

/// Where one recording lies, relative to the archive's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveName {
    /// Folders from the root down.
    pub folders: Vec<String>,
    /// Name of all three files, without the ending.
    pub stem: String,
}

impl ArchiveName {
    /// The name of a recording whose audio begins at `start_ns`.
    pub fn new(facts: &CallFacts, start_ns: u64) -> Self {
        Self::with_id_characters(facts, start_ns, ID_CHARACTERS)
    }

    /// The same with the whole id, for when the short name is another recording's.
    pub fn in_full(facts: &CallFacts, start_ns: u64) -> Self {
        Self::with_id_characters(facts, start_ns, NAME_PART_BYTES_MAX)
    }

    fn with_id_characters(facts: &CallFacts, start_ns: u64, characters: usize) -> Self {
        let at = OffsetDateTime::from_unix_timestamp((start_ns / NS_PER_S) as i64)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        let kind = match facts.direction {
            Direction::Outbound => "recordout",
            Direction::Inbound | Direction::Internal | Direction::Unknown => "recordin",
        };
        let id = safe(&facts.id, characters);
        let (hour, minute, second) = at.to_hms();
        let stem = format!(
            "{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}_{}_{}_{id}",
            party(facts.from.as_deref()),
            party(facts.to.as_deref()),
        );
        let folders = vec![
            "recordings".to_owned(),
            kind.to_owned(),
            format!("{year:04}"),
            format!("{month:02}"),
            format!("{day:02}"),
        ];
        Self { folders, stem }
    }

    /// Path of the file with this ending, `/` between folders.
    pub fn path(&self, extension: &str) -> String {
        format!("{}/{}.{extension}", self.folders.join("/"), self.stem)
    }

    pub fn audio_path(&self, format: Format) -> String {
        self.path(format.extension())
    }
}

/// The user part of a SIP or tel URI, or the text as it is.
fn party(uri: Option<&str>) -> String {
    let Some(uri) = uri else { return safe("", NAME_PART_BYTES_MAX) };
    let uri = uri.trim_matches(['<', '>', ' ', '"']);
    let rest = ["sip:", "sips:", "tel:"]
        .iter()
        .find_map(|scheme| {
            let head = uri.get(..scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then(|| &uri[scheme.len()..])
        })
        .unwrap_or(uri);
    let user = rest.split(['@', ';', '?']).next().unwrap_or("");
    safe(user, NAME_PART_BYTES_MAX)
}

fn safe(text: &str, characters_max: usize) -> String {
    let name: String = text
        .chars()
        .take(characters_max)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.') { c } else { '-' })
        .collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::ArchiveName;
    use crate::facts::{CallFacts, Direction};
    use crate::options::Format;

    fn facts(from: &str, to: &str) -> CallFacts {
        CallFacts {
            id: "0a1b2c3d4e5f".to_owned(),
            from: Some(from.to_owned()),
            to: Some(to.to_owned()),
            ..CallFacts::default()
        }
    }

    const START_NS: u64 = 1_763_633_472_345_000_000;

    /// REC-5: folders and names as in the archive's layout.
    #[test]
    fn layout_is_as_agreed() {
        let mut facts = facts("sip:+441234@example.com;transport=tcp", "<sip:200@10.0.0.1>");
        let name = ArchiveName::new(&facts, START_NS);
        assert_eq!(
            name.audio_path(Format::Wav),
            "recordings/recordin/2025/11/20/20251120-101112_+441234_200_0a1b2c3d.wav"
        );
        facts.direction = Direction::Outbound;
        let name = ArchiveName::new(&facts, START_NS);
        assert!(name.path("xml").starts_with("recordings/recordout/2025/"));
    }

    /// REC-5, S9: hostile parties stay within their folder, and within bounds.
    #[test]
    fn hostile_parties_are_harmless() {
        let long = "\u{1F4DE}".repeat(5_000);
        for hostile in ["../../etc/passwd", "a/b\\c:d*e?f\0g\r\n", "", "..", &long, "sip:", "é_é"]
        {
            let name = ArchiveName::in_full(&facts(hostile, hostile), START_NS);
            assert!(name.stem.len() < 200);
            assert!(
                name.stem
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'))
            );
            assert_eq!(name.stem.matches('_').count(), 3);
        }
    }
}
