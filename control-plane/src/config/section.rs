//! One macro that defines a section of the configuration and what the reference page says of it.

/// A key as the reference page shows it.
#[derive(Debug, Clone)]
pub struct Key {
    pub name: &'static str,
    /// The default in TOML's notation.
    pub default: String,
    pub doc: String,
}

/// A table of the file.
#[derive(Debug, Clone)]
pub struct Section {
    pub name: &'static str,
    pub doc: &'static str,
    pub keys: Vec<Key>,
}

/// A default as TOML writes it.
pub(super) fn toml_text<T: serde::Serialize>(value: &T) -> String {
    toml::Value::try_from(value).map_or_else(|_| String::from("?"), |value| value.to_string())
}

macro_rules! settings {
    (
        #[doc = $doc:literal]
        pub struct $name:ident in $table:literal {
            $( #[doc = $key_doc:literal] pub $key:ident: $type:ty = $default:expr, )*
        }
    ) => {
        #[doc = $doc]
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $( #[doc = $key_doc] pub $key: $type, )* }

        impl Default for $name {
            fn default() -> Self { Self { $( $key: $default, )* } }
        }

        impl $name {
            pub(super) fn section() -> $crate::config::Section {
                let default = Self::default();
                $crate::config::Section {
                    name: $table,
                    doc: $doc.trim_ascii(),
                    keys: vec![ $( $crate::config::Key {
                        name: stringify!($key),
                        default: $crate::config::section::toml_text(&default.$key),
                        doc: $key_doc.trim().to_owned(),
                    }, )* ],
                }
            }
        }
    };
}
pub(super) use settings;
