//! Rows as JSON, byte for byte as `serde_json` writes them, in a third of the instructions: a call's row is some 1.5
//! KiB of short strings, which are looked at here eight bytes at a time.
//!
//! For what rows are made of: structures, lists, strings, numbers, booleans and what may be unknown.

use std::fmt::{self, Display};

use serde::ser::{Error as _, Impossible, Serialize, SerializeSeq, SerializeStruct, Serializer};
use serde_json::Error;

/// Of most rows without media.
const ROW_BYTES: usize = 2048;

/// The text of a row.
///
/// # Errors
/// A value says that it cannot be written, or is of a kind that rows have none of.
pub fn text(row: &impl Serialize) -> Result<String, Error> {
    let mut text = String::with_capacity(ROW_BYTES);
    row.serialize(&mut Json { text: &mut text })?;
    Ok(text)
}

/// Writes one value at the end of a text.
struct Json<'t> {
    text: &'t mut String,
}

impl Json<'_> {
    /// RFC 8259 section 7.
    fn string(&mut self, value: &str) {
        self.text.push('"');
        let mut rest = value;
        while let Some(at) = first_special(rest.as_bytes()) {
            let (plain, special) = rest.split_at(at);
            self.text.push_str(plain);
            let mut chars = special.chars();
            match chars.next() {
                Some('"') => self.text.push_str("\\\""),
                Some('\\') => self.text.push_str("\\\\"),
                Some('\u{8}') => self.text.push_str("\\b"),
                Some('\t') => self.text.push_str("\\t"),
                Some('\n') => self.text.push_str("\\n"),
                Some('\u{c}') => self.text.push_str("\\f"),
                Some('\r') => self.text.push_str("\\r"),
                Some(control) => {
                    let _ = fmt::write(self.text, format_args!("\\u{:04x}", u32::from(control)));
                }
                None => {}
            }
            rest = chars.as_str();
        }
        self.text.push_str(rest);
        self.text.push('"');
    }

    fn number(&mut self, number: impl Display) -> Result<(), Error> {
        fmt::write(self.text, format_args!("{number}")).map_err(Error::custom)
    }

    fn key(&mut self, key: &'static str, is_first: bool) {
        self.text.push_str(if is_first { "{\"" } else { ",\"" });
        self.text.push_str(key);
        self.text.push_str("\":");
    }
}

/// The first byte that may not stand in a string as it is.
fn first_special(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The highest bit of each byte that is zero, and perhaps of bytes above one that is.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    let is_special = |byte: &u8| matches!(byte, 0..0x20 | b'"' | b'\\');
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // Below 0x20 are those whose three highest bits are zero.
        let controls = zeros(word & (LOW * 0xe0));
        let quotes = zeros(word ^ (LOW * b'"' as u64)) | zeros(word ^ (LOW * b'\\' as u64));
        if controls | quotes != 0 {
            return Some(index * 8 + (controls | quotes).trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(is_special).map(|at| words.len() * 8 + at)
}

fn unknown<T>(what: &str) -> Result<T, Error> {
    Err(Error::custom(format_args!("rows have no {what}")))
}

impl<'j, 't> Serializer for &'j mut Json<'t> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'j, 't>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Structure<'j, 't>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.text.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.number(value)
    }

    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.number(value)
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.number(value)
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.number(value)
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.number(value)
    }

    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.number(value)
    }

    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.number(value)
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.number(value)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.serialize_f64(value.into())
    }

    /// The shortest text that is read back as the same number; what is no number is unknown.
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.text.push_str(&serde_json::to_string(&value).map_err(Error::custom)?);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.string(value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.string(value);
        Ok(())
    }

    fn serialize_bytes(self, _value: &[u8]) -> Result<(), Error> {
        unknown("bytes")
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.text.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), Error> {
        unknown("variants with a value")
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<List<'j, 't>, Error> {
        self.text.push('[');
        Ok(List { json: self, is_first: true })
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self::SerializeTuple, Error> {
        unknown("tuples")
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleStruct, Error> {
        unknown("tuples")
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        unknown("tuples")
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap, Error> {
        unknown("maps")
    }

    fn serialize_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Structure<'j, 't>, Error> {
        Ok(Structure { json: self, is_first: true })
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, Error> {
        unknown("variants with a value")
    }
}

struct List<'j, 't> {
    json: &'j mut Json<'t>,
    is_first: bool,
}

impl SerializeSeq for List<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if !std::mem::take(&mut self.is_first) {
            self.json.text.push(',');
        }
        value.serialize(&mut *self.json)
    }

    fn end(self) -> Result<(), Error> {
        self.json.text.push(']');
        Ok(())
    }
}

struct Structure<'j, 't> {
    json: &'j mut Json<'t>,
    is_first: bool,
}

impl SerializeStruct for Structure<'_, '_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        key: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.json.key(key, std::mem::take(&mut self.is_first));
        value.serialize(&mut *self.json)
    }

    fn end(self) -> Result<(), Error> {
        self.json.text.push_str(if self.is_first { "{}" } else { "}" });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, Packets, StreamRow, Timestamp};

    fn same(row: &impl Serialize) {
        assert_eq!(text(row).unwrap(), serde_json::to_string(row).unwrap());
    }

    /// CALL-6: rows are written as the outside reads them, whatever senders put into their names.
    #[test]
    fn text_is_as_serde_json_writes_it() {
        let hostile: String =
            (0..0x100).filter_map(char::from_u32).chain("\u{1f4de}é\u{2028}".chars()).collect();
        for at in 0..hostile.chars().count() {
            same(&hostile.chars().skip(at).collect::<String>());
            same(&hostile.chars().skip(at).take(9).collect::<String>());
        }
        same(&Decision {
            recorded: true,
            rule: "a\"b".to_owned(),
            policy: None,
            trace: vec![hostile, String::new()],
        });
        same(&[Some(Timestamp(0)), None].as_slice());
        let packets = Packets { received: u64::MAX, lost: 1, duplicate: 0, late: 7 };
        for mos in [None, Some(4.41), Some(0.1 + 0.2), Some(1e300), Some(f64::NAN), Some(-0.0)] {
            same(&StreamRow {
                ssrc: u32::MAX,
                src: String::new(),
                dst: "[::1]:9".to_owned(),
                side: "caller".to_owned(),
                heard: false,
                reason: None,
                codecs: Vec::new(),
                packets,
                jitter_ms: mos,
                mos,
            });
        }
    }

    /// S9: what no row has is an error, not half a row.
    #[test]
    fn what_rows_have_none_of_is_refused() {
        assert!(text(&(1, 2)).is_err());
        assert!(text(&std::collections::BTreeMap::from([("a", 1)])).is_err());
        assert!(text(&Timestamp(i64::MAX)).is_err());
    }
}
