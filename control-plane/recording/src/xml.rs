//! The message-details file that lies beside each archived message, with the same name (REC-5).

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use crate::facts::{CallFacts, Direction};
use crate::finalize::FinishedRecording;
use crate::moment::rfc3339;

/// The file's content. Fails only if memory does.
pub(crate) fn details(facts: &CallFacts, done: &FinishedRecording) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let fields = fields(facts, done);
    writer.create_element("message").write_inner_content(|inner| {
        for (name, value) in &fields {
            let element = inner.create_element(*name);
            match value {
                Some(text) => element.write_text_content(BytesText::new(&representable(text)))?,
                None => element.write_empty()?,
            };
        }
        Ok(())
    })?;
    let mut bytes = writer.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn fields(facts: &CallFacts, done: &FinishedRecording) -> Vec<(&'static str, Option<String>)> {
    let report = &done.report;
    let file_name = done.path.rsplit('/').next().unwrap_or_default();
    let direction = match facts.direction {
        Direction::Inbound => Some("in"),
        Direction::Outbound => Some("out"),
        Direction::Internal => Some("internal"),
        Direction::Unknown => None,
    };
    vec![
        ("type", Some("recording".to_owned())),
        ("id", Some(facts.id.clone())),
        ("account", facts.tenant.clone()),
        ("direction", direction.map(str::to_owned)),
        ("from", facts.from.clone()),
        ("to", facts.to.clone()),
        ("date", rfc3339(report.start_ns)),
        ("duration", Some((report.duration_ms / 1_000).to_string())),
        ("durationms", Some(report.duration_ms.to_string())),
        ("size", Some(done.bytes.to_string())),
        ("filename", Some(file_name.to_owned())),
        ("format", Some(done.format.name().to_owned())),
        ("channels", Some(report.channels.to_string())),
        ("samplerate", Some(report.sample_rate.to_string())),
        ("codecs", Some(report.codecs.join(" "))),
        ("callid", Some(facts.call_id.clone())),
        ("started", facts.started_at_ns.and_then(rfc3339)),
        ("answered", facts.answered_at_ns.and_then(rfc3339)),
        ("ended", facts.ended_at_ns.and_then(rfc3339)),
        ("endreason", facts.end_reason.clone()),
        ("packets", Some(report.packets.received.to_string())),
        ("packetslost", Some(report.packets.lost.to_string())),
        ("mos", report.mos.map(|mos| format!("{mos:.2}"))),
        ("sha256", Some(done.sha256.clone())),
    ]
}

/// XML 1.0 section 2.2 cannot hold most control characters, not even escaped, and section 2.11
/// changes carriage returns: each becomes U+FFFD.
fn representable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' | '\n' => c,
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            _ => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::{details, representable};
    use crate::facts::CallFacts;
    use crate::finalize::FinishedRecording;
    use crate::options::Format;
    use crate::report::RenderReport;

    fn done() -> FinishedRecording {
        FinishedRecording {
            id: "1".to_owned(),
            path: "recordings/recordin/2025/11/20/a.wav".to_owned(),
            json_path: String::new(),
            xml_path: String::new(),
            format: Format::Wav,
            bytes: 44,
            sha256: "00".to_owned(),
            report: RenderReport::default(),
        }
    }

    /// Text of the element, as an XML parser sees it.
    fn text_of(xml: &[u8], name: &str) -> String {
        let mut reader = Reader::from_reader(xml);
        reader.config_mut().check_end_names = true;
        let (mut inside, mut text, mut buffer) = (false, String::new(), Vec::new());
        loop {
            match reader.read_event_into(&mut buffer).expect("well-formed") {
                Event::Start(tag) if tag.name().as_ref() == name => inside = true,
                Event::End(tag) if tag.name().as_ref() == name => inside = false,
                Event::Text(part) if inside => text.push_str(&part),
                Event::GeneralRef(part) if inside => {
                    let name: &str = &part;
                    let known = quick_xml::escape::resolve_predefined_entity(name);
                    text.push_str(known.expect("a predefined entity"));
                }
                Event::Eof => return text,
                _ => {}
            }
            buffer.clear();
        }
    }

    proptest! {
        /// REC-5: whatever SIP held, the file is well-formed and says the same.
        #[test]
        fn well_formed_for_hostile_parties(from in any::<String>()) {
            let facts = CallFacts { from: Some(from.clone()), ..CallFacts::default() };
            let xml = details(&facts, &done()).expect("rendered");
            assert_eq!(text_of(&xml, "from"), representable(&from));
            assert_eq!(text_of(&xml, "filename"), "a.wav");
        }
    }

    /// REC-5: control characters and markup do not survive as such.
    #[test]
    fn control_characters_are_replaced() {
        let facts =
            CallFacts { from: Some("a\0\u{1b}<b>&\r\"".to_owned()), ..CallFacts::default() };
        let xml = details(&facts, &done()).expect("rendered");
        assert_eq!(text_of(&xml, "from"), "a\u{fffd}\u{fffd}<b>&\u{fffd}\"");
    }
}
